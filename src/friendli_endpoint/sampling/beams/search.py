"""Beam search as a state machine: candidates in, the next beams out; no model, no tensors, no clock.

**DETERMINISTIC** is the search of Hugging Face `generate(num_beams=K)`. Each step ranks the candidates of all beams by
score and keeps a few times K of them. Those among the first K that end become hypotheses; the best K that do not end
are the next beams. The K best hypotheses are kept, by score / length ** length_penalty; EOS counts in the length. The
search is over when there are K of them and, unless `early_stopping` ends it there, the best beam would be no better if
it were complete at its present length. Equal scores: the lower slot first, then the lower token.

**NAIVE_SAMPLING** is the same with `do_sample=True`: the candidates are drawn without replacement, by their joint
probability among all beams; drawn first counts as ranked first. With one beam both are plain greedy search and plain
sampling, as in `generate`.

**STOCHASTIC** (Kool, van Hoof and Welling, 2019) holds the K highest perturbed sequences, complete or not, until all
are complete: then they are a sample of K sequences without replacement. `early_stopping` has no meaning there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from friendli_endpoint.sampling.beams.ending import Endings
from friendli_endpoint.sampling.beams.tree import Hypothesis, Node
from friendli_endpoint.sampling.draw import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.engine.vocabulary import Beams, FinishReason, Request
    from friendli_endpoint.sampling.beams.tree import Output
    from friendli_endpoint.sampling.draw import Candidate, Expansion

_STRONGEST_PENALTY: Final = 50.0
"""No length to the power of this leaves the range of floats; far beyond it nothing but the length would count."""


def candidates_of_step(request: Request) -> int:
    """How many candidates of all beams together a step keeps.

    So many that K go on even if every beam offers every end-of-sequence token.
    """
    beams = _beams_of(request)
    if beams.kind == "STOCHASTIC" or beams.width == 1:
        return beams.width
    return max(2, 1 + len(set(request.eos_tokens))) * beams.width


def candidates_of_beam(request: Request) -> int:
    """How many of one beam's most probable candidates can matter to a deterministic step.

    Behind as many as can end a beam and K others, all that is kept to go on comes first.
    """
    beams = _beams_of(request)
    ending = {*request.eos_tokens, *(sequence[-1] for sequence in beams.stop_tokens if sequence)}
    return min(beams.width + len(ending), candidates_of_step(request))


def _beams_of(request: Request) -> Beams:
    if request.beams is None:
        raise ValueError("the request asks for no beam search")
    return request.beams


_Way: TypeAlias = "tuple[float, int, int, Candidate]"
"""A candidate of the beam in a slot, to be sorted: the value that ranks it, negated; slot; token or place; itself."""

_Child: TypeAlias = "tuple[int, Node]"
"""A beam that goes on, with the slot of its parent."""


class BeamSearch:
    """The search of one request.

    `places` are the live beams by slot: one at the start, at most K later, none when the search is over.
    """

    def __init__(self, request: Request) -> None:
        self.places: list[Place] = [Place(0, 0.0)]
        self._beams = _beams_of(request)
        self._kept = candidates_of_step(request)
        self._penalty = max(-_STRONGEST_PENALTY, min(self._beams.length_penalty, _STRONGEST_PENALTY))
        self._endings = Endings(request)
        self._length = 0
        self._nodes: Sequence[Node | None] = [None]  # what the live beams have generated, by slot
        self._complete: list[Hypothesis] = []

    @property
    def complete(self) -> list[Hypothesis]:
        """The hypotheses so far, at most K, best first; of a stochastic search that is over, the whole sample."""
        return sorted(self._complete, key=lambda hypothesis: -hypothesis.penalised)

    def result(self) -> tuple[Output, FinishReason]:
        """The best hypothesis, without what ended it, and why it ended. Raises ValueError when there is none.

        Of a stochastic search, too, it is the one with the best penalised log-probability among the K: the perturbed
        values say in which order they would have been drawn, and the first drawn is no better than a plain sample.
        """
        if not self._complete:
            raise ValueError("no beam is complete")
        best = self.complete[0]
        return best.output(), best.reason

    def advance(self, expansions: Sequence[Expansion]) -> list[tuple[int, int]]:
        """Take one step: an expansion per live beam, in order -> the next live beams as (parent's slot, token).

        Empty when the search is over. A beam without candidates is dropped; without any candidate the search is over.
        Raises ValueError when expansions and live beams are not as many, or there is no live beam.
        """
        if not self.places or len(expansions) != len(self.places):
            raise ValueError(f"{len(expansions)} expansions for {len(self.places)} live beams")
        self._length += 1
        if self._beams.kind == "STOCHASTIC":
            live = self._sample(self._by_perturbed(expansions))
        elif self._beams.kind == "NAIVE_SAMPLING":
            live = self._search(self._by_perturbed(expansions))
        else:
            live = self._search(self._by_score(expansions))
        self._nodes = nodes = [node for _, node in live]
        floor = self._floor(nodes)
        self.places = [Place(slot, node.score, node.perturbed, floor) for slot, node in enumerate(nodes)]
        return [(slot, node.token) for slot, node in live]

    def _by_score(self, expansions: Sequence[Expansion]) -> list[_Way]:
        ways = [(-way.score, slot, way.token, way) for slot, beam in enumerate(expansions) for way in beam.candidates]
        ways.sort()
        return ways[: self._kept]

    def _by_perturbed(self, expansions: Sequence[Expansion]) -> list[_Way]:
        ways = [
            (-way.perturbed, slot, order, way)
            for slot, beam in enumerate(expansions)
            for order, way in enumerate(beam.candidates)
        ]
        ways.sort()
        return ways[: self._kept]

    def _search(self, ways: list[_Way]) -> list[_Child]:
        """Keep the best hypotheses and go on with the best other beams, unless the search is over."""
        width = self._beams.width
        live = self._extend(ways, may_end=width)
        live.sort(key=lambda child: -child[1].score)  # drawn candidates come in another order
        self._complete = self.complete[:width]
        if len(self._complete) == width and live:
            hopeless = self._penalised(live[0][1]) <= self._complete[-1].penalised
            return [] if hopeless or self._beams.early_stopping else live[:width]
        return live[:width]

    def _sample(self, ways: list[_Way]) -> list[_Child]:
        """Hold the K highest perturbed among the new ways and the hypotheses; go on with those not complete."""
        complete = self._complete
        complete.sort(key=lambda hypothesis: -hypothesis.perturbed)
        while len(ways) + len(complete) > self._beams.width:
            lowest = ways if ways and (not complete or -ways[-1][0] <= complete[-1].perturbed) else complete
            lowest.pop()
        return self._extend(ways, may_end=len(ways))

    def _extend(self, ways: list[_Way], may_end: int) -> list[_Child]:
        """The ways that do not end; those of the first `may_end` that do become hypotheses."""
        live = []
        for rank, (_, slot, _, way) in enumerate(ways):
            parent = self._nodes[slot]
            node = Node(parent, way.token, way.scores, way.score, way.perturbed)
            ending = self._endings.find(parent, way.token, self._length)
            if ending is None:
                live.append((slot, node))
            elif rank < may_end:
                self._complete.append(Hypothesis(node, ending.cut, ending.reason, self._penalised(node)))
        return live

    def _penalised(self, node: Node) -> float:
        divisor: float = self._length**self._penalty
        return node.score / divisor

    def _floor(self, live: list[Node]) -> float:
        """The value below which nothing new can be held: each beam has a child as high as itself."""
        held = [node.perturbed for node in live] + [hypothesis.perturbed for hypothesis in self._complete]
        full = self._beams.kind == "STOCHASTIC" and len(held) == self._beams.width
        return min(held) if full else -math.inf
