"""The ways in which one beam may go on: the candidates among which a search chooses.

Deterministic search takes the most probable tokens. The two sampling kinds draw without replacement by perturbing:
a log-probability plus independent Gumbel noise, of which the highest are a sample. The noise of a whole vocabulary is
never made. Candidates come from the top down: the highest perturbed value is a Gumbel of all the mass together, the
token that has it is drawn by probability, and each next value is a Gumbel of the mass left, given that it lies below
the last one (Maddison, Tarlow and Minka, "A* Sampling", NIPS 2014).

In stochastic beam search the highest is given: it is the value of the beam itself (Kool, van Hoof and Welling,
"Stochastic Beams and Where to Find Them", ICML 2019).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from friendli_endpoint.sampling.beams.ranked import look_at
from friendli_endpoint.sampling.beams.search import candidates_wanted
from friendli_endpoint.sampling.beams.urn import Urn
from friendli_endpoint.sampling.draw import Candidate, Draw, Place
from friendli_endpoint.sampling.random import beam_uniforms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.sampling.beams.ranked import Ranked


def expand(ranked: Ranked, draw: Draw) -> tuple[Candidate, ...]:
    """The candidates of the beam `draw.beam` that can matter to its search, best first, without scores to report.

    Fewer than wanted when the row has no more tokens; none when it has no token at all. Random numbers come from
    the draw's seed, its position, and the beam's slot.
    """
    place, beams = draw.beam, draw.request.beams
    if place is None or beams is None:
        raise ValueError("the draw is not one of a beam search")
    most = candidates_wanted(draw.request)
    if beams.kind == "DETERMINISTIC":
        return _most_probable(ranked, place, most)
    if not len(ranked.tokens) or ranked.logprobs[0] == -math.inf:
        return ()
    return tuple(_drawn(ranked, draw, place, most, given=beams.kind == "STOCHASTIC"))


def _most_probable(ranked: Ranked, place: Place, most: int) -> tuple[Candidate, ...]:
    ranked = look_at(ranked, most)
    scores = (ranked.logprobs[:most] + place.score).tolist()
    allowed = len(scores)
    while allowed and scores[allowed - 1] == -math.inf:
        allowed -= 1
    return tuple(map(Candidate, ranked.tokens[:allowed].tolist(), scores))


def _drawn(ranked: Ranked, draw: Draw, place: Place, most: int, *, given: bool) -> Iterator[Candidate]:
    """Candidates by falling perturbed value; the first of them has the beam's own where that is `given`."""
    urn = Urn(ranked)
    perturbed = place.perturbed if given else math.inf
    for index in range(most):
        height, coin = beam_uniforms(draw.seed, draw.position, place.slot, index)
        if index or not given:
            perturbed = _next_perturbed(urn, place, perturbed, height)
        if perturbed < place.floor or (taken := urn.take(coin)) is None:
            return
        token, logprob = taken
        yield Candidate(token, place.score + logprob, perturbed)


def _next_perturbed(urn: Urn, place: Place, limit: float, uniform: float) -> float:
    """The highest perturbed value of what is left, below a limit."""
    perturbed = _highest_below(limit, place.score + urn.log_left, uniform)
    if urn.vague and perturbed >= place.floor:
        # Only now: what is left is no more than the bound, so a value below the floor would be there all the more.
        urn.settle()
        perturbed = _highest_below(limit, place.score + urn.log_left, uniform)
    return perturbed


def _highest_below(limit: float, log_mass: float, uniform: float) -> float:
    """The highest of many Gumbels with a total mass, given that it is at most the limit; minus infinity of no mass.

    exp(-value) is exponential with rate exp(log_mass), shifted by exp(-limit): added in logarithms, nothing overflows.
    """
    waiting, shift = math.log(-math.log(uniform)) - log_mass, -limit
    return -(max(waiting, shift) + math.log1p(math.exp(-abs(waiting - shift))))
