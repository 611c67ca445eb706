"""The candidates of one beam by falling perturbed value, made one at a time.

A perturbed value is a log-probability plus independent Gumbel noise; the tokens with the highest are a sample without
replacement. The noise of a whole vocabulary is never made. Candidates come from the top down: the highest value is a
Gumbel of all the mass together, the token that has it is drawn by probability, and each next value is a Gumbel of the
mass left, given that it lies below the last one (Maddison, Tarlow and Minka, "A* Sampling", NIPS 2014).

In stochastic beam search the highest is given: it is the value of the beam itself (Kool, van Hoof and Welling,
"Stochastic Beams and Where to Find Them", ICML 2019).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from friendli_endpoint.sampling.beams.urn import Urn
from friendli_endpoint.sampling.draw import Candidate, Draw, Place
from friendli_endpoint.sampling.random import beam_uniforms

if TYPE_CHECKING:
    from friendli_endpoint.sampling.beams.ranked import Ranked


class PerturbedBeam:
    """What a beam still has to offer, `perturbed` being the value of the next candidate; minus infinity when none is.

    While `vague` it is an upper bound of that value, and `settle` makes it exact at the price of the whole row. So it
    can wait until the bound is the highest of all beams, which it mostly never is.
    """

    def __init__(self, ranked: Ranked, draw: Draw, place: Place, *, given: bool) -> None:
        """With `given` the highest value is that of the beam itself. The row has at least one token."""
        self._urn = Urn(ranked)
        self._draw = draw
        self._place = place
        self._index = 0
        self._limit = math.inf
        self._height, self._coin = self._uniforms()
        self.perturbed = place.perturbed if given else self._highest()
        self.vague = False

    def settle(self) -> None:
        """Make the next value exact."""
        self._urn.settle()
        self.perturbed, self.vague = self._highest(), False

    def take(self) -> Candidate | None:
        """The next candidate; None when there is none after all."""
        taken = self._urn.take(self._coin)
        if taken is None:
            self.perturbed = -math.inf
            return None
        token, logprob = taken
        candidate = Candidate(token, self._place.score + logprob, self.perturbed)
        self._index, self._limit = self._index + 1, self.perturbed
        self._height, self._coin = self._uniforms()
        self.perturbed, self.vague = self._highest(), self._urn.vague
        return candidate

    def _uniforms(self) -> tuple[float, float]:
        return beam_uniforms(self._draw.seed, self._draw.position, self._place.slot, self._index)

    def _highest(self) -> float:
        return _highest_below(self._limit, self._place.score + self._urn.log_left, self._height)


def _highest_below(limit: float, log_mass: float, uniform: float) -> float:
    """The highest of many Gumbels with a total mass, given that it is at most the limit; minus infinity of no mass.

    exp(-value) is exponential with rate exp(log_mass), shifted by exp(-limit): added in logarithms, nothing overflows.
    """
    waiting, shift = math.log(-math.log(uniform)) - log_mass, -limit
    return -(max(waiting, shift) + math.log1p(math.exp(-abs(waiting - shift))))
