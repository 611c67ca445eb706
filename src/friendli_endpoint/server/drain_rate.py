"""How fast what was full has become empty lately: the ground on which waits are foretold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_HALF_LIFE_SECONDS: Final = 5.0
_HALF_LIFE_LEAVINGS: Final = 4.0
_LEAST_SECONDS: Final = 0.05
_MOST_HALF_LIVES: Final = 20.0
"""That a long silence may count for: what is known never becomes nothing."""


class DrainRate:
    """What has left, over the time that it took; what is one half-life old counts half in both.

    Time passes only while there is somebody who could leave, so a quiet hour says nothing about how fast things go. A
    half-life is 5 s, or as long as it takes until four leave, if that is longer: else the rate would be noise where
    each takes a minute. Nothing is told of the first 50 ms, nor before so many as are `enough` have left.
    """

    def __init__(self, clock: Callable[[], float], *, enough: int = 1) -> None:
        self._clock = clock
        self._missing = enough
        self._amount = 0.0
        self._leavings = 0.0
        self._seconds = 0.0
        self._since: float | None = None  # up to when time has passed; None while nobody is there

    def watch(self, *, busy: bool) -> None:
        """Say whether there is somebody who could leave."""
        self._pass_time()
        self._since = self._clock() if busy else None

    def count(self, amount: float = 1.0) -> None:
        """Somebody has left, and given back so much."""
        self._pass_time()
        self._missing -= 1
        self._amount += amount
        self._leavings += 1.0

    def seconds_for(self, amount: float) -> float | None:
        """How long it takes until so much is given back; None when too little is known."""
        self._pass_time()
        if self._missing > 0 or self._seconds < _LEAST_SECONDS:
            return None
        return amount * self._seconds / self._amount

    def _pass_time(self) -> None:
        if self._since is None:
            return
        now = self._clock()
        elapsed, self._since = now - self._since, now
        if not self._leavings:
            self._seconds += elapsed
            return
        half_life = max(_HALF_LIFE_SECONDS, _HALF_LIFE_LEAVINGS * self._seconds / self._leavings)
        kept = 0.5 ** min(elapsed / half_life, _MOST_HALF_LIVES)
        self._amount *= kept
        self._leavings *= kept
        self._seconds = self._seconds * kept + (1.0 - kept) * half_life / math.log(2)
