"""What a process holds, as /proc tells it, and whether that grows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Holds:
    """Resident memory in MiB, open files, threads."""

    rss: float
    files: int
    threads: int


def holds(pid: int) -> Holds:
    """Of a process that runs."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss, threads = (int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0]) for name in ("VmRSS", "Threads"))
    return Holds(rss / 1024, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), threads)


@dataclass(frozen=True)
class Slope:
    """How fast something grows: per unit of time, with its standard error."""

    value: float
    error: float


def slope(times: Sequence[float], values: Sequence[float]) -> Slope:
    """By least squares; at least three points."""
    middle, height = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - middle) ** 2 for time in times)
    value = sum((time - middle) * (each - height) for time, each in zip(times, values, strict=True)) / spread
    left = sum((each - height - value * (time - middle)) ** 2 for time, each in zip(times, values, strict=True))
    return Slope(value, (left / (len(times) - 2) / spread) ** 0.5)
