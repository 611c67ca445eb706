"""Drawing tokens from a row without replacement, looking at no more of the row than the draws need.

What is drawn depends on the row and the numbers alone, never on how much of the row had been looked at: every decision
is made on the first `LEAST_RANKS` ranks and the mass beyond them; what is looked at later only tells the tokens there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from friendli_endpoint.sampling.beams.ranked import LEAST_RANKS, look_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.sampling.beams.ranked import Ranked

_NOISE: Final = 1e-6
"""The mass beyond the first ranks is a difference of float32 sums: below this share of everything it tells nothing."""
_BELOW_ONE: Final = math.nextafter(1.0, 0.0)


class Urn:
    """The tokens of one row that are still to be drawn, each by its probability among those left.

    Weights are probabilities relative to that of the most probable token left when they were made, so that the least
    temperature does not make them vanish. An urn that is `vague` wants to be settled before the next draw.
    """

    def __init__(self, ranked: Ranked) -> None:
        """An urn with all tokens of a row; at least one of them is allowed."""
        self._ranked = ranked
        self._taken: list[int] = []
        self._weigh(0, LEAST_RANKS)
        alone = ranked.whole and len(ranked.tokens) <= LEAST_RANKS
        self._beyond = 0.0 if alone else max(math.exp(ranked.log_mass - self._base) - self._first, 0.0)
        self._least = _NOISE * self._left

    def _weigh(self, base: int, ranks: int) -> None:
        """Weigh the first `ranks` tokens relative to that of rank `base`."""
        self._base = float(self._ranked.logprobs[base])
        self._weights = self._relative(0, ranks)
        self._add_up()

    def _relative(self, start: int, end: int) -> NDArray[np.float64]:
        """The weights of the ranks from start to end, as far as they have been looked at; 0 for those taken."""
        above = self._ranked.logprobs[start:end] - self._base
        above[[rank - start for rank in self._taken if start <= rank < end]] = -math.inf
        return np.exp(above)

    def _add_up(self) -> None:
        self._sums = self._weights.cumsum()
        self._first = float(self._sums[-1])

    @property
    def _left(self) -> float:
        return self._first + self._beyond

    @property
    def vague(self) -> bool:
        """So little is left that the mass beyond the first ranks is noise, or that the weights are too small."""
        return self._left < self._least

    @property
    def log_left(self) -> float:
        """The logarithm of the probability left, an upper bound of it while `vague`; minus infinity when empty."""
        left = max(self._left, self._least)
        return self._base + math.log(left) if left > 0 else -math.inf

    def settle(self) -> None:
        """Look at the whole row, and weigh anew what is left of it."""
        while not self._ranked.whole:
            self._ranked = self._ranked.wider()
        ranks, taken = len(self._ranked.tokens), set(self._taken)
        best = next((rank for rank in range(ranks) if rank not in taken), ranks)
        if best < ranks and self._ranked.logprobs[best] > -math.inf:
            self._weigh(best, ranks)
        else:
            self._first = 0.0
        self._beyond, self._least = 0.0, _NOISE * self._first

    def take(self, number: float) -> tuple[int, float] | None:
        """Draw a token with a uniform number in (0, 1): its id and its log-probability; None when none is left."""
        if self._left == 0:
            return None
        target = number * self._left
        if target >= self._first:
            return self._take_beyond(target - self._first)
        rank = int(self._sums.searchsorted(target, side="right"))
        self._weights[rank] = 0
        self._add_up()
        return self._told(rank)

    def _take_beyond(self, target: float) -> tuple[int, float] | None:
        """Draw from what lies beyond the first ranks, where the weights add up to the target."""
        start = len(self._weights)
        sums = self._sums_from(start)
        while sums[-1] <= target and not self._ranked.whole:
            self._ranked = self._ranked.wider()
            sums = self._sums_from(start)
        found = float(sums[-1])
        if found <= target:
            # Rounding told more mass than there is; what falls there is drawn again, from all, with the number's rest.
            rest = (target - found) / max(self._beyond - found, math.ulp(0.0))
            self.settle()
            return self.take(min(rest, _BELOW_ONE))
        rank = start + int(sums.searchsorted(target, side="right")) - 1
        self._beyond = max(self._beyond - math.exp(float(self._ranked.logprobs[rank]) - self._base), 0.0)
        return self._told(rank)

    def _sums_from(self, start: int) -> NDArray[np.float64]:
        """Zero, then the added-up weights of the ranks from start on, as far as they have been looked at."""
        weights = self._relative(start, len(self._ranked.tokens))
        return np.concatenate((np.zeros(1), weights.cumsum()))

    def _told(self, rank: int) -> tuple[int, float]:
        """What the row says of a rank, once it has been looked at so far that no equal token can come before it."""
        self._taken.append(rank)
        self._ranked = look_at(self._ranked, rank + 1)
        return int(self._ranked.tokens[rank]), float(self._ranked.logprobs[rank])
