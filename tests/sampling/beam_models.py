"""Small language models, and rows that show only as much of themselves as they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from friendli_endpoint.engine.vocabulary import Beams, Controls, Request
from friendli_endpoint.sampling.beams.expand import expand
from friendli_endpoint.sampling.beams.search import BeamSearch
from friendli_endpoint.sampling.draw import Draw, Expansion


@dataclass(frozen=True)
class Row:
    """A `Ranked` of a whole row of log-probabilities [vocab] that shows `shown` ranks, and twice as many when asked.

    Of the tokens that equal the last one it shows the wrong ones, as far as that is allowed.
    """

    row: np.ndarray
    shown: int
    log_mass: float = 0.0

    @property
    def _order(self):
        order = np.lexsort((np.arange(len(self.row)), -self.row))
        equal = np.flatnonzero(self.row[order] == self.row[order[min(self.shown, len(order)) - 1]])
        shown = equal[equal < self.shown]
        return np.concatenate((order[: shown[0]], order[equal[len(equal) - len(shown) :]]))

    @property
    def tokens(self):
        return self._order

    @property
    def logprobs(self):
        return self.row[self._order]

    @property
    def whole(self):
        return self.shown >= len(self.row)

    def wider(self):
        assert not self.whole
        return Row(self.row, 2 * self.shown, self.log_mass)


def normalised(logits):
    return logits - np.logaddexp.reduce(logits)


def language_model(seed, vocab, *, scale=1.5):
    """A function from tokens to the log-probabilities [vocab] of the next one, always the same for the same tokens."""

    @cache
    def model(tokens):
        return normalised(np.random.default_rng([seed, *tokens]).normal(size=vocab) * scale)

    return model


def request_of(*, seed=0, max_tokens=4, eos_tokens=(), min_tokens=0, **beams):
    return Request("r", (1,), (seed,), max_tokens, eos_tokens, Controls(min_tokens=min_tokens), beams=Beams(**beams))


def searched(request, model, *, shown=64, floors=True):
    """The search of a request, run to its end; without `floors` everything is drawn, whether it can matter or not."""
    search, outputs = BeamSearch(request), [()]
    for position in range(request.max_tokens):
        rows = [model(output).copy() for output in outputs]
        if position < request.controls.min_tokens:
            for row in rows:
                row[list(request.eos_tokens)] = -np.inf
        ranked = [Row(row, min(shown, len(row)), np.logaddexp.reduce(row)) for row in rows]
        places = search.places if floors else [place._replace(floor=-np.inf) for place in search.places]
        draws = [Draw(0, request, request.seeds[0], position, beam=place) for place in places]
        moves = search.advance([Expansion(candidates) for candidates in expand(ranked, draws)])
        outputs = [(*outputs[parent], token) for parent, token in moves]
        if not outputs:
            return search
    raise AssertionError("the search went on after max_tokens")


def tokens_of(output):
    return tuple(token for token, _ in output)
