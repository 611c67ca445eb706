"""How much KV to keep room for."""

from __future__ import annotations

from pathlib import Path

from friendli_endpoint.errors import ModelError

USUAL_SHARE, LARGEST_SHARE = 0.25, 0.75  # of the memory that is free
MOST_CONTEXTS = 32
UNKNOWN = 1 << 32  # bytes assumed where the system does not say

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def kv_tokens(wanted: int | None, bytes_per_token: int, context_length: int) -> int:
    """Tokens of KV to keep room for; ModelError when `wanted` is more than the machine has memory for.

    Unless told, that is a quarter of free memory, at most 32 contexts; but one context if three quarters hold it.
    """
    room = free_bytes() / bytes_per_token
    if wanted is None:
        usual = min(int(room * USUAL_SHARE), MOST_CONTEXTS * context_length)
        return max(usual, min(int(room * LARGEST_SHARE), context_length), 1)
    if not 1 <= wanted <= room:
        raise ModelError(f"there is memory for 1 to {int(room)} tokens of KV, not for {wanted}")
    return wanted


def free_bytes() -> int:
    """Memory that can be had without swapping, by the machine and by this process's control group."""
    return min([_machine_free(), *_group_free()])


def _machine_free() -> int:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return UNKNOWN
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), UNKNOWN)


def _group_free() -> list[int]:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [max(0, int(limit) - used)]
