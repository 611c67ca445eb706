"""Figures of repeated, alternating measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Pairs:
    """One quantity of ours and of the peer, measured in turn: `ours[i]` and `peer[i]` are neighbours in time."""

    ours: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float:
        """Ours over the peer's: the median of the ratios pair by pair, which a slow minute hits on both sides."""
        return median(a / b for a, b in zip(self.ours, self.peer, strict=True))

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of a pair."""
        ratios = [a / b for a, b in zip(self.ours, self.peer, strict=True)]
        return min(ratios), max(ratios)


def alternate(repeats: int, ours: Callable[[int], float], peer: Callable[[int], float]) -> Pairs:
    """Measure both `repeats` times; each gets the number of the repetition, and goes first every other time."""
    pairs = Pairs([], [])
    for number in range(repeats):
        sides = [(pairs.ours, ours), (pairs.peer, peer)]
        for figures, measure in sides if number % 2 == 0 else reversed(sides):
            figures.append(measure(number))
    return pairs


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
