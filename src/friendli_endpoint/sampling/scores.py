"""What a request's `Report` asks to be told of its tokens, all of it from rows as the model gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.vocabulary import Scores
from friendli_endpoint.sampling.draw import Expansion, Pick

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from friendli_endpoint.engine.vocabulary import Report
    from friendli_endpoint.sampling.draw import Draw, Outcome
    from friendli_endpoint.sampling.rows import Rows


def reports(draw: Draw) -> bool:
    """A draw's request wants something told of its tokens."""
    return draw.request.report.logprobs is not None or draw.request.report.logits


class RawRows:
    """The unmodified rows that some draws report on."""

    def __init__(self, rows: Rows, places: dict[int, int]) -> None:
        """`places` says where in `rows` each row of the step is; these are not edited any more."""
        self._rows, self._places = rows.logits, places
        self._order = {row: index for index, row in enumerate(places)}
        wanted = list(places.values())
        self._ranks, masses = rows.ranks(wanted), rows.masses(wanted, np.ones(len(wanted), np.float32))
        with np.errstate(invalid="ignore", divide="ignore"):  # in rows that are not finite, of which no token comes
            self._log_sums = masses.peaks + np.log(masses.totals)
        self.best = {row: int(self._ranks.tokens[i, 0]) for row, i in self._order.items() if masses.sound[i]}
        """The most probable token of each row, the lowest id of equal ones, where the row has a finite maximum."""
        self._tops: dict[tuple[int, int], tuple[tuple[int, float], ...]] = {}

    @classmethod
    def of(cls, rows: Rows, draws: Sequence[Draw], changing: Container[int]) -> RawRows | None:
        """Those of draws that report, set aside when one of them is about to change; None when no draw reports."""
        wanted = sorted({draw.row for draw in draws if reports(draw)})
        if not wanted:
            return None
        if any(row in changing for row in wanted):
            return cls(rows.copy(wanted), {row: place for place, row in enumerate(wanted)})
        return cls(rows, {row: row for row in wanted})

    def told(self, draw: Draw, outcome: Outcome) -> Outcome:
        """The outcome of a draw together with what its report asks for."""
        report = draw.request.report
        if isinstance(outcome, Expansion):
            told = (c._replace(scores=self._scores(draw.row, c.token, report)) for c in outcome.candidates)
            return outcome._replace(candidates=tuple(told))
        return outcome if outcome.token < 0 else Pick(outcome.token, self._scores(draw.row, outcome.token, report))

    def _scores(self, row: int, token: int, report: Report) -> Scores:
        logits, index = self._rows[self._places[row]], self._order[row]
        logprob = float(logits[token]) - float(self._log_sums[index])
        return Scores(logprob, self._top(index, report.logprobs or 0), logits.tobytes() if report.logits else None)

    def _top(self, index: int, count: int) -> tuple[tuple[int, float], ...]:
        if (index, count) not in self._tops:
            logprobs = self._ranks.logits[index, :count] - self._log_sums[index]
            top = zip(self._ranks.tokens[index, :count].tolist(), logprobs.tolist(), strict=True)
            self._tops[index, count] = tuple(top)
        return self._tops[index, count]
