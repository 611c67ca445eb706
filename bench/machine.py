"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from shutil import which

from bench.environments import ROOT, pinned_version


def describe() -> str:
    """Processor, cores, memory, system, versions, as a Markdown list."""
    return "\n".join(
        [
            f"- Machine: {_processor()}, {cores()} cores, {_memory_gib():.0f} GiB, {platform.system()} "
            f"{platform.release()}, instruction sets {', '.join(_instruction_sets())}",
            f"- Ours: friendli {version('friendli')} at {_commit()}, OpenVINO {version('openvino')}, "
            f"Python {platform.python_version()}",
            f"- Peers: xllamacpp {pinned_version('xllamacpp')}, openai {pinned_version('openai')}, "
            f"official friendli {pinned_version('friendli')}",
        ]
    )


class Company:
    """How much of the processor others used since this was made: what makes figures untrue on a shared machine."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._others = _machine_cpu_s() - _own_cpu_s()

    def share(self) -> float:
        """Of all cores' time, what processes other than this one and its ended children have used."""
        used = _machine_cpu_s() - _own_cpu_s() - self._others
        return max(0.0, used / (time.perf_counter() - self._begin) / (os.cpu_count() or 1))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _machine_cpu_s() -> float:
    """Time of all cores in which they were busy, taken by the hypervisor for others included."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _processor() -> str:
    return _cpu_info("model name") or platform.machine()


def _instruction_sets() -> list[str]:
    flags = _cpu_info("flags").split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    return [flag for flag in wanted if flag in flags] or ["unknown"]


def _cpu_info(key: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _commit() -> str:
    git = which("git")
    if git is None:
        return "an unknown commit"
    said = subprocess.run(
        [git, "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or "an unknown commit"
