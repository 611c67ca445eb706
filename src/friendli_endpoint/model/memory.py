"""How much KV to keep room for."""

from __future__ import annotations

from pathlib import Path

SHARE_OF_FREE = 4  # KV may take one part in this many of the memory that is free
MOST_CONTEXTS = 32

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def default_kv_tokens(bytes_per_token: int, context_length: int) -> int:
    """Tokens of KV for a machine as it is now: a share of free memory, at most 32 contexts, at least one."""
    affordable = free_bytes() // SHARE_OF_FREE // bytes_per_token
    return max(context_length, min(affordable, MOST_CONTEXTS * context_length))


def free_bytes() -> int:
    """Memory that can be had without swapping, by the machine and by this process's control group."""
    return min([_machine_free(), *_group_free()])


def _machine_free() -> int:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return 1 << 32
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 1 << 32)


def _group_free() -> list[int]:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [max(0, int(limit) - used)]
