"""Memory of a process and its children, from /proc."""

from __future__ import annotations

from pathlib import Path


def peak_rss_mb(pid: int) -> float:
    """Peak resident memory of the process and its living descendants, added up, in MB (10**6 bytes).

    Pages that they share count once for each, and their peaks need not have been at the same time: an upper bound.
    """
    return sum(_peak_kib(process) for process in process_tree(pid)) * 1024 / 1e6


def process_tree(pid: int) -> list[int]:
    """The process and its living descendants."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    return [pid, *(descendant for child in children for descendant in process_tree(child))]


def _peak_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def _words(path: Path) -> list[str]:
    return path.read_text().split()
