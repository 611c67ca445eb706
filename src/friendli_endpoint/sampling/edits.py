"""What changes logits before a token is chosen: bans and penalties, in place, for all rows at once.

Order: end of sequence too early, bad words, repeated n-grams, grammar; repetition penalty; frequency and presence. All
but the grammar touch few tokens of a row, so the cost is that of those tokens, not of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from friendli_endpoint.sampling.penalties import occurrence, repetition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.engine.vocabulary import Controls
    from friendli_endpoint.sampling.draw import Draw
    from friendli_endpoint.sampling.history import History
    from friendli_endpoint.sampling.penalties import Counts


class _Past(NamedTuple):
    """A row whose controls look back."""

    row: int
    controls: Controls
    history: History


def edited(draw: Draw) -> bool:
    """A draw's row has to be edited."""
    return not draw.request.controls.forced and (draw.history is not None or _too_early(draw))


def edit(logits: Logits, draws: Sequence[Draw]) -> None:
    """Edit the rows of draws that want it, one draw per row: [S, vocab], in place."""
    pasts = [_Past(draw.row, draw.request.controls, draw.history) for draw in draws if draw.history is not None]
    _ban(logits, [(draw.row, draw.request.eos_tokens) for draw in draws if _too_early(draw)])
    _ban(logits, [(past.row, past.history.banned()) for past in pasts])
    _ban(logits, [(past.row, past.history.bad_words.always) for past in pasts if past.history.bad_words is not None])
    _ban_by_grammar(logits, pasts)
    _penalise_repetition(logits, pasts)
    _penalise_occurrence(logits, pasts)


def _too_early(draw: Draw) -> bool:
    return draw.position < draw.request.controls.min_tokens and bool(draw.request.eos_tokens)


def _ban(logits: Logits, bans: Sequence[tuple[int, Sequence[int] | NDArray[np.int64]]]) -> None:
    bans = [(row, tokens) for row, tokens in bans if len(tokens)]
    if bans:
        rows = np.repeat([row for row, _ in bans], [len(tokens) for _, tokens in bans])
        logits[rows, np.concatenate([np.asarray(tokens, np.int64) for _, tokens in bans])] = -np.inf


def _ban_by_grammar(logits: Logits, pasts: Sequence[_Past]) -> None:
    matchers = [(past.row, past.history.matcher) for past in pasts if past.history.matcher is not None]
    if matchers:
        from friendli_endpoint.sampling.grammar import ban

        ban(logits, [row for row, _ in matchers], [matcher for _, matcher in matchers])


def _penalise_repetition(logits: Logits, pasts: Sequence[_Past]) -> None:
    found = [(past, past.history.context) for past in pasts if past.history.context is not None]
    if found:
        places, lengths = _places(found)
        penalties = np.repeat(_float32([past.controls.repetition_penalty for past, _ in found]), lengths)
        logits[places] = repetition(logits[places], penalties)


def _penalise_occurrence(logits: Logits, pasts: Sequence[_Past]) -> None:
    found = [(past, past.history.output) for past in pasts if past.history.output is not None]
    if found:
        places, lengths = _places(found)
        frequency = np.repeat(_float32([past.controls.frequency_penalty for past, _ in found]), lengths)
        presence = np.repeat(_float32([past.controls.presence_penalty for past, _ in found]), lengths)
        counts = np.concatenate([counts.counts for _, counts in found])
        logits[places] = occurrence(logits[places], counts, frequency, presence)


def _places(
    found: Sequence[tuple[_Past, Counts]],
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], list[int]]:
    """Rows and tokens of all that the rows have counted, and how many there are of each row."""
    lengths = [len(counts.tokens) for _, counts in found]
    rows = np.repeat(np.array([past.row for past, _ in found], np.int64), lengths)
    return (rows, np.concatenate([counts.tokens for _, counts in found])), lengths


def _float32(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)
