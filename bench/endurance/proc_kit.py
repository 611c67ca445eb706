"""What a process holds, as /proc tells it, and whether that grows."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Holds:
    """Resident memory in MiB; what open files and threads there are of each name."""

    rss: float
    files: Counter[str]
    threads: Counter[str]


def holds(pid: int) -> Holds:
    """Of a process that runs."""
    process = Path(f"/proc/{pid}")
    rss = re.findall(r"^VmRSS:\s+(\d+)", (process / "status").read_text(), re.MULTILINE)
    files = Counter(_told(os.readlink, each) for each in (process / "fd").iterdir())
    threads = Counter(_told(Path.read_text, each / "comm") for each in (process / "task").iterdir())
    return Holds(int(rss[0]) / 1024, files, threads)


def _told(ask: Callable[[Path], str], path: Path) -> str:
    """The name without its number; what has gone meanwhile counts as well."""
    try:
        return re.sub(r"[_-]?\d+|\[\d+\]", "", ask(path).strip())
    except OSError:
        return "gone"


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
