"""What is measured on, and what the peer is set to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.workload import Encode

ROWS = (1, 8, 32, 64)


@dataclass(frozen=True)
class Plan:
    """What to measure on: the model for both, how often, and how long the runs are."""

    model: Path
    encode: Encode
    repeats: int
    new_tokens: int
    waiting_jobs: int
    mixed: int
    rows: Sequence[int] = ROWS
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class PeerSettings:
    """llama.cpp's choices worth tuning: flash attention (-1 auto, 0 off, 1 on), tokens of a forward, busy waiting."""

    flash: int = -1
    ubatch: int = 512
    poll: int = 50
