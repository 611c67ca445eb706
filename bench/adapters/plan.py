"""How long the measurements of adapters are, and on which adapters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.plan import PeerSettings, Plan

FEW = 8
RESIDENT = 16  # as the endpoint has it by default


@dataclass(frozen=True)
class Extent:
    """How often the slow parts are repeated, adapters in all, requests of a random load over them, rounds of changes.

    `pause_s` are the seconds between one step beside running streams and the next.
    """

    repeats: int
    adapters: int
    requests: int
    rounds: int
    pause_s: float


FULL = Extent(repeats=3, adapters=64, requests=48, rounds=17, pause_s=0.7)
QUICK = Extent(repeats=1, adapters=24, requests=24, rounds=1, pause_s=0.2)


@dataclass(frozen=True)
class AdapterPlan:
    """What is measured: the model and its runs, the peer's settings, and the `files` of all adapters by name."""

    plan: Plan
    settings: PeerSettings
    extent: Extent
    files: Mapping[str, str]

    def first(self, count: int) -> dict[str, str]:
        """The files of the first `count` adapters."""
        return dict(islice(self.files.items(), count))
