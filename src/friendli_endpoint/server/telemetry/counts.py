"""Numbers that many requests add up to; nothing here knows a clock, a name or a label."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

QUANTILES: Final = (0.5, 0.9, 0.99)
_WINDOW: Final = 1_000


class Histogram:
    """How many values lie within each of `bounds` (ascending, inclusive), and behind the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Summary:
    """The count and sum of all values, and quantiles of the last thousand."""

    __slots__ = ("_window", "count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._window = array("d", bytes(8 * _WINDOW))  # a ring, there from the start: it does not grow with the load

    def observe(self, value: float) -> None:
        """Count a value."""
        self._window[self.count % _WINDOW] = value
        self.count += 1
        self.total += value

    def quantiles(self) -> dict[float, float]:
        """The smallest value that is not below so large a share of the others, for each of `QUANTILES`."""
        ordered = sorted(self._window[: self.count])
        if not ordered:
            return dict.fromkeys(QUANTILES, float("nan"))
        return {quantile: ordered[min(int(quantile * len(ordered)), len(ordered) - 1)] for quantile in QUANTILES}
