"""What changes logits before a token is chosen: bans and penalties, in place, for all rows at once.

Order: grammar, end of sequence too early, bad words, repeated n-grams; repetition penalty; frequency and presence. All
but the grammar touch few tokens of a row, so the cost is that of those tokens, not of the vocabulary. What is to be
changed hangs on the sequences alone, so it is found while the logits are being computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from friendli_endpoint.sampling.grammar import ban, masks_of
from friendli_endpoint.sampling.penalties import bounded, occurrence, repetition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.sampling.draw import Draw
    from friendli_endpoint.sampling.grammar import Matcher
    from friendli_endpoint.sampling.penalties import Counts
    from friendli_endpoint.sampling.rows import Rows


class Removed(NamedTuple):
    """The rows from which bans took a finite logit, and those from which they took one that is NaN or infinity."""

    finite: set[int]
    broken: set[int]


class _Touched(NamedTuple):
    """N logits: token `tokens[i]` of row `rows[i]`, both [N]."""

    rows: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def places(self, rows: Rows) -> NDArray[np.int64]:
        """Where they are in the flat logits: one index finds a logit in half the time that two take."""
        return self.rows * rows.vocab_size + self.tokens


class _Repeated(NamedTuple):
    """Logits with their repetition penalties [N]."""

    touched: _Touched
    penalties: NDArray[np.float32]


class _Occurring(NamedTuple):
    """Logits, how often their tokens have come, and what that costs: per time, and once [N]."""

    touched: _Touched
    counts: NDArray[np.int64]
    frequency: NDArray[np.float32]
    presence: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Edits:
    """What is going to be changed in the rows of some draws, one draw a row; None: nothing of the kind."""

    rows: frozenset[int]
    matchers: Mapping[int, Matcher]
    masks: NDArray[np.uint8] | None
    banned: _Touched | None
    repeated: _Repeated | None
    occurring: _Occurring | None

    @classmethod
    def of(cls, draws: Iterable[Draw]) -> Edits:
        """Those of draws that may share rows, when what their controls know is the same. Takes a grammar's time."""
        editing = list({draw.row: draw for draw in draws if edits(draw)}.values())
        histories = [(draw.row, draw.request.controls, draw.history) for draw in editing if draw.history is not None]
        matchers = {row: history.matcher for row, _, history in histories if history.matcher is not None}
        bans: list[tuple[int, Sequence[int]]]
        bans = [(draw.row, draw.request.eos_tokens) for draw in editing if _too_early(draw)]
        bans += [(row, history.banned()) for row, _, history in histories]
        return cls(
            rows=frozenset(draw.row for draw in editing),
            matchers=matchers,
            masks=masks_of(list(matchers.values())) if matchers else None,
            banned=_banned([(row, tokens) for row, tokens in bans if tokens]),
            repeated=_repeated(
                [(row, c.repetition_penalty, h.context) for row, c, h in histories if h.context is not None]
            ),
            occurring=_occurring(
                [
                    (row, c.frequency_penalty, c.presence_penalty, h.output)
                    for row, c, h in histories
                    if h.output is not None
                ]
            ),
        )

    def apply(self, rows: Rows) -> Removed:
        """Change the rows."""
        removed = Removed(set(), set())
        if self.masks is not None:
            _ban_by_grammar(rows, self.matchers, self.masks, removed)
        if self.banned is not None:
            places = self.banned.places(rows)
            _tell(removed, self.banned.rows, rows.flat[places])
            rows.flat[places] = -np.inf
        if self.repeated is not None:
            touched, penalties = self.repeated
            places = touched.places(rows)
            rows.flat[places] = repetition(rows.flat[places], penalties)
        if self.occurring is not None:
            touched, counts, frequency, presence = self.occurring
            places = touched.places(rows)
            rows.flat[places] = occurrence(rows.flat[places], counts, frequency, presence)
        return removed


def edits(draw: Draw) -> bool:
    """A draw's row has to be edited."""
    return not draw.request.controls.forced and (draw.history is not None or _too_early(draw))


def _too_early(draw: Draw) -> bool:
    return draw.position < draw.request.controls.min_tokens and bool(draw.request.eos_tokens)


def _banned(bans: Sequence[tuple[int, Sequence[int]]]) -> _Touched | None:
    if not bans:
        return None
    rows = np.repeat([row for row, _ in bans], [len(tokens) for _, tokens in bans])
    return _Touched(rows, np.fromiter(chain.from_iterable(tokens for _, tokens in bans), np.int64, len(rows)))


def _repeated(found: Sequence[tuple[int, float, Counts]]) -> _Repeated | None:
    if not found:
        return None
    touched, lengths = _touched([(row, counts) for row, _, counts in found])
    return _Repeated(touched, _spread([bounded(penalty) for _, penalty, _ in found], lengths))


def _occurring(found: Sequence[tuple[int, float, float, Counts]]) -> _Occurring | None:
    if not found:
        return None
    touched, lengths = _touched([(row, counts) for row, _, _, counts in found])
    frequency = _spread([frequency for _, frequency, _, _ in found], lengths)
    presence = _spread([presence for _, _, presence, _ in found], lengths)
    return _Occurring(touched, np.concatenate([counts.counts for *_, counts in found]), frequency, presence)


def _touched(found: Sequence[tuple[int, Counts]]) -> tuple[_Touched, list[int]]:
    """All tokens that the rows have counted, and how many of each row there are."""
    tokens = [counts.tokens for _, counts in found]
    lengths = [len(some) for some in tokens]
    rows = np.repeat(np.array([row for row, _ in found], np.int64), lengths)
    return _Touched(rows, np.concatenate(tokens)), lengths


def _spread(values: Sequence[float], lengths: Sequence[int]) -> NDArray[np.float32]:
    """One value for each token of each row."""
    return np.repeat(np.array(values, np.float32), lengths)


def _ban_by_grammar(rows: Rows, matchers: Mapping[int, Matcher], masks: NDArray[np.uint8], removed: Removed) -> None:
    places = list(matchers)
    highest = np.array([rows.logits[place].max() for place in places])
    _tell(removed, np.array(places), highest)
    ban(rows.logits, places, list(matchers.values()), masks)


def _tell(removed: Removed, rows: NDArray[np.int64], logits: NDArray[np.float32]) -> None:
    removed.finite.update(rows[np.isfinite(logits)].tolist())
    removed.broken.update(rows[np.isnan(logits) | np.isposinf(logits)].tolist())
