"""What a request's `Report` asks to be told of its tokens, all of it from rows as the model gave them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.vocabulary import Scores
from friendli_endpoint.sampling.draw import Expansion, Pick

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from friendli_endpoint.sampling.draw import Draw, Outcome
    from friendli_endpoint.sampling.rows import Rows


def reports(draw: Draw) -> bool:
    """A draw's request wants something told of its tokens."""
    return draw.request.report.logprobs is not None or draw.request.report.logits


class RawRows:
    """The unmodified rows that some draws report on."""

    def __init__(self, rows: Rows, places: dict[int, int], most: int) -> None:
        """`places` says where in `rows` each row of the step is; these are not edited any more.

        `most` is how many alternatives are told of any of them.
        """
        self._logits = rows.logits
        self._order = {row: index for index, row in enumerate(places)}
        self._places = np.array(list(places.values()), np.int64)
        ranks, masses = rows.heads(list(places.values()), np.ones(len(places), np.float32))
        self._log_sums, sound, best = masses.log_sums, masses.sound.tolist(), ranks.tokens[:, 0].tolist()
        self._top_tokens = ranks.tokens[:, :most].tolist()
        self._top_logprobs = (ranks.logits[:, :most] - self._log_sums[:, None]).tolist()
        self.best: dict[int, int] = {row: best[i] for row, i in self._order.items() if sound[i]}
        """The most probable token of each row, the lowest id of equal ones, where the row has a finite maximum."""

    @classmethod
    def of(cls, rows: Rows, draws: Sequence[Draw], changing: Container[int]) -> RawRows | None:
        """Those of draws that report, set aside when one of them is about to change; None when no draw reports."""
        asking = [draw for draw in draws if reports(draw)]
        if not asking:
            return None
        wanted = sorted({draw.row for draw in asking})
        most = max(draw.request.report.logprobs or 0 for draw in asking)
        if any(row in changing for row in wanted):
            return cls(rows.copy(wanted), {row: place for place, row in enumerate(wanted)}, most)
        return cls(rows, {row: row for row in wanted}, most)

    def told(self, draws: Sequence[Draw], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcome of each draw, together with what its report asks for."""
        tokens = [_tokens(o) if reports(draw) else [] for draw, o in zip(draws, outcomes, strict=True)]
        # One look-up for the tokens of all draws.
        rows = [self._order[draw.row] for draw, some in zip(draws, tokens, strict=True) for _ in some]
        logits = self._logits[self._places[rows], list(chain.from_iterable(tokens))]
        logprobs = iter((logits - self._log_sums[rows]).tolist())
        told = []
        for draw, outcome, some in zip(draws, outcomes, tokens, strict=True):
            told.append(_with(outcome, self._scores(draw, [next(logprobs) for _ in some])) if some else outcome)
        return told

    def _scores(self, draw: Draw, logprobs: Sequence[float]) -> list[Scores]:
        """Those of several tokens of one row, which share what is the row's: a beam may have a hundred candidates."""
        index, report = self._order[draw.row], draw.request.report
        count = report.logprobs or 0
        top = tuple(zip(self._top_tokens[index][:count], self._top_logprobs[index][:count], strict=True))
        raw = self._logits[self._places[index]].tobytes() if report.logits else None
        return [Scores(logprob, top, raw) for logprob in logprobs]


def _tokens(outcome: Outcome) -> list[int]:
    """The tokens of which something can be told."""
    if isinstance(outcome, Expansion):
        return [candidate.token for candidate in outcome.candidates]
    return [outcome.token] if outcome.token >= 0 else []


def _with(outcome: Outcome, scores: Sequence[Scores]) -> Outcome:
    """An outcome with the scores of its tokens."""
    if isinstance(outcome, Pick):
        return Pick(outcome.token, scores[0])
    told = zip(outcome.candidates, scores, strict=True)
    return Expansion(tuple(candidate._replace(scores=some) for candidate, some in told))
