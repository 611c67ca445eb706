"""What changes logits before a token is chosen: bans and penalties, in place, for all rows at once.

Order: grammar, end of sequence too early, bad words, repeated n-grams; repetition penalty; frequency and presence. All
but the grammar touch few tokens of a row, so the cost is that of those tokens, not of the vocabulary.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from friendli_endpoint.sampling.grammar import ban
from friendli_endpoint.sampling.penalties import occurrence, repetition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.vocabulary import Controls
    from friendli_endpoint.sampling.draw import Draw
    from friendli_endpoint.sampling.grammar import Matcher
    from friendli_endpoint.sampling.history import History
    from friendli_endpoint.sampling.penalties import Counts
    from friendli_endpoint.sampling.rows import Rows


class Removed(NamedTuple):
    """The rows from which bans took a finite logit, and those from which they took one that is NaN or infinity."""

    finite: set[int]
    broken: set[int]


class _Past(NamedTuple):
    """A row whose controls look back."""

    row: int
    controls: Controls
    history: History


def edited(draw: Draw) -> bool:
    """A draw's row has to be edited."""
    return not draw.request.controls.forced and (draw.history is not None or _too_early(draw))


def under_grammar(draws: Sequence[Draw]) -> dict[int, Matcher]:
    """The matchers by row, of draws with one draw per row."""
    matchers = {draw.row: None if draw.history is None else draw.history.matcher for draw in draws}
    return {row: matcher for row, matcher in matchers.items() if matcher is not None}


def edit(rows: Rows, draws: Sequence[Draw], masks: NDArray[np.uint8] | None = None) -> Removed:
    """Edit the rows of draws that want it, one draw per row; `masks` are those of `under_grammar`, None without any."""
    removed = Removed(set(), set())
    pasts = [_Past(draw.row, draw.request.controls, draw.history) for draw in draws if draw.history is not None]
    if masks is not None:
        _ban_by_grammar(rows, under_grammar(draws), masks, removed)
    bans: list[tuple[int, Sequence[int]]]
    bans = [(draw.row, draw.request.eos_tokens) for draw in draws if _too_early(draw)]
    bans += [(past.row, past.history.banned()) for past in pasts]
    _ban(rows, bans, removed)
    _penalise_repetition(rows, pasts)
    _penalise_occurrence(rows, pasts)
    return removed


def _too_early(draw: Draw) -> bool:
    return draw.position < draw.request.controls.min_tokens and bool(draw.request.eos_tokens)


def _ban_by_grammar(rows: Rows, matchers: Mapping[int, Matcher], masks: NDArray[np.uint8], removed: Removed) -> None:
    places = list(matchers)
    highest = np.array([rows.logits[place].max() for place in places])
    _tell(removed, np.array(places), highest)
    ban(rows.logits, places, list(matchers.values()), masks)


def _ban(rows: Rows, bans: Sequence[tuple[int, Sequence[int]]], removed: Removed) -> None:
    bans = [(row, tokens) for row, tokens in bans if tokens]
    if bans:
        places = np.repeat([row for row, _ in bans], [len(tokens) for _, tokens in bans])
        banned = places, np.fromiter(chain.from_iterable(tokens for _, tokens in bans), np.int64, len(places))
        _tell(removed, places, rows.logits[banned])
        rows.logits[banned] = -np.inf


def _tell(removed: Removed, rows: NDArray[np.int64], logits: NDArray[np.float32]) -> None:
    removed.finite.update(rows[np.isfinite(logits)].tolist())
    removed.broken.update(rows[np.isnan(logits) | np.isposinf(logits)].tolist())


def _penalise_repetition(rows: Rows, pasts: Sequence[_Past]) -> None:
    found = [(past, past.history.context) for past in pasts if past.history.context is not None]
    if found:
        places, lengths = _places(rows, found)
        penalties = np.repeat(_float32([past.controls.repetition_penalty for past, _ in found]), lengths)
        rows.flat[places] = repetition(rows.flat.take(places), penalties)


def _penalise_occurrence(rows: Rows, pasts: Sequence[_Past]) -> None:
    found = [(past, past.history.output) for past in pasts if past.history.output is not None]
    if found:
        places, lengths = _places(rows, found)
        frequency = np.repeat(_float32([past.controls.frequency_penalty for past, _ in found]), lengths)
        presence = np.repeat(_float32([past.controls.presence_penalty for past, _ in found]), lengths)
        counts = np.concatenate([counts.counts for _, counts in found])
        rows.flat[places] = occurrence(rows.flat.take(places), counts, frequency, presence)


def _places(rows: Rows, found: Sequence[tuple[_Past, Counts]]) -> tuple[NDArray[np.int64], list[int]]:
    """Where in the flat logits all tokens are that the rows have counted, and how many there are of each row.

    One index finds a logit in half the time that two take.
    """
    tokens = [counts.tokens for _, counts in found]
    lengths = [len(some) for some in tokens]
    starts = np.array([past.row for past, _ in found], np.int64) * rows.vocab_size
    return np.concatenate(tokens) + np.repeat(starts, lengths), lengths


def _float32(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)
