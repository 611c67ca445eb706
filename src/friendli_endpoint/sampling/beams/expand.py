"""The ways in which beams may go on: the candidates among which their search chooses."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heapreplace
from itertools import groupby
from typing import TYPE_CHECKING

from friendli_endpoint.sampling.beams.perturbed import PerturbedBeam
from friendli_endpoint.sampling.beams.ranked import look_at
from friendli_endpoint.sampling.beams.search import candidates_of_beam, candidates_of_step
from friendli_endpoint.sampling.draw import Candidate, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.sampling.beams.ranked import Ranked
    from friendli_endpoint.sampling.draw import Draw


def expand(ranked: Sequence[Ranked], draws: Sequence[Draw]) -> list[tuple[Candidate, ...]]:
    """The candidates of each beam that can matter to its search, best first, without scores to report.

    One row per draw, each draw that of a beam. A beam whose row has no token has no candidates. The beams of one
    request stand next to each other: those that are drawn are drawn together, because only the highest of all matter.
    Random numbers come from the seed, the position and the beam's slot.
    """
    candidates: list[tuple[Candidate, ...]] = []
    for _, group in groupby(zip(ranked, draws, strict=True), key=lambda pair: pair[1].request.id):
        candidates += _of_request(list(group))
    return candidates


def _of_request(beams: list[tuple[Ranked, Draw]]) -> list[tuple[Candidate, ...]]:
    request = beams[0][1].request
    if request.beams is None:
        raise ValueError("the draw is not one of a beam search")
    if request.beams.kind == "DETERMINISTIC":
        most = candidates_of_beam(request)
        return [_most_probable(ranked, _place(draw), most) for ranked, draw in beams]
    return _drawn(beams, candidates_of_step(request), given=request.beams.kind == "STOCHASTIC")


def _place(draw: Draw) -> Place:
    if draw.beam is None:
        raise ValueError("the draw is not one of a beam search")
    return draw.beam


def _most_probable(ranked: Ranked, place: Place, most: int) -> tuple[Candidate, ...]:
    ranked = look_at(ranked, most)
    scores = (ranked.logprobs[:most] + place.score).tolist()
    while scores and scores[-1] == -math.inf:
        scores.pop()
    return tuple(map(Candidate, ranked.tokens[: len(scores)].tolist(), scores))


def _drawn(beams: list[tuple[Ranked, Draw]], most: int, *, given: bool) -> list[tuple[Candidate, ...]]:
    """The highest perturbed candidates of several beams together, so many that they are `most`."""
    drawn: list[list[Candidate]] = [[] for _ in beams]
    offers = {
        i: PerturbedBeam(ranked, draw, _place(draw), given=given)
        for i, (ranked, draw) in enumerate(beams)
        if len(ranked.tokens) and ranked.logprobs[0] > -math.inf
    }
    waiting = [(-offer.perturbed, i) for i, offer in offers.items()]
    heapify(waiting)
    while waiting and most:
        i = waiting[0][1]
        offer, floor = offers[i], _place(beams[i][1]).floor
        if offer.vague:
            offer.settle()
        elif (candidate := offer.take()) is not None:
            drawn[i].append(candidate)
            most -= 1
        if offer.perturbed == -math.inf or offer.perturbed < floor:
            heappop(waiting)
        else:
            heapreplace(waiting, (-offer.perturbed, i))
    return [tuple(candidates) for candidates in drawn]
