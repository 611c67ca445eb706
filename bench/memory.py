"""Memory of a process and its children, from /proc."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def peak_rss_mb(pid: int) -> float:
    """Peak resident memory of the process and its living descendants, added up, in MB (10**6 bytes).

    Pages that they share count once for each, and their peaks need not have been at the same time: an upper bound.
    """
    return resident_mb(process_tree(pid), "VmHWM")


def resident_mb(pids: Iterable[int], field: str = "VmRSS") -> float:
    """Memory of the processes, added up, in MB (10**6 bytes): what /proc calls VmRSS, RssFile, or VmHWM."""
    return sum(_kib(process, field) for process in pids) * 1024 / 1e6


def process_tree(pid: int) -> list[int]:
    """The process and its living descendants."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    return [pid, *(descendant for child in children for descendant in process_tree(child))]


def _kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0


def _words(path: Path) -> list[str]:
    return path.read_text().split()
