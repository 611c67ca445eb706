"""Random draws: what each needs of its row, and its token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from friendli_endpoint.sampling.blocks import draw_from_blocks
from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT
from friendli_endpoint.sampling.pick import UNDECIDED, Chances, Cuts, pick
from friendli_endpoint.sampling.random import uniforms
from friendli_endpoint.sampling.ranking import WIDER, ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.vocabulary import Controls
    from friendli_endpoint.sampling.draw import Draw
    from friendli_endpoint.sampling.head import Masses
    from friendli_endpoint.sampling.rows import Rows

_EXTREME: Final = 1e30
"""Temperatures beyond it, and below its inverse, are as good as this: float32 carries no more."""
_TOGETHER: Final = 16
"""So many rows are looked at more widely at once: a bound on memory."""


class _Scaled(NamedTuple):
    """How logits of N rows become probabilities: exp((logit - peak) * scale) / total, each [N, 1]."""

    peaks: NDArray[np.float64]
    scales: NDArray[np.float64]
    totals: NDArray[np.float64]

    def at(self, rows: NDArray[np.int64]) -> _Scaled:
        return _Scaled(self.peaks[rows], self.scales[rows], self.totals[rows])


def numbers_of(draws: Sequence[Draw]) -> NDArray[np.float64]:
    """The random numbers of each draw [N, 2]: for its token, and for XTC's coin."""
    seeds, positions = np.array([(draw.seed, draw.position) for draw in draws], np.uint64).reshape(-1, 2).T
    return uniforms(seeds, positions)


def draw_tokens(rows: Rows, draws: Sequence[Draw], numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The token of each draw by its numbers, or `NO_TOKEN`; `NOTHING_LEFT` where all logits are minus infinity."""
    tokens = np.empty(len(draws), np.int64)
    walked = np.array([is_walked(draw.request.controls) for draw in draws])
    for draw_some, wanted in ((_walk, np.flatnonzero(walked)), (_draw_uncut, np.flatnonzero(~walked))):
        if len(wanted):
            tokens[wanted] = draw_some(rows, [draws[i] for i in wanted.tolist()], numbers[wanted])
    return tokens


def scales_of(draws: Sequence[Draw]) -> NDArray[np.float32]:
    """1 / temperature, bounded to what float32 holds; 1 where temperature means nothing."""
    temperatures = [1.0 if is_deterministic(draw) else draw.request.controls.temperature for draw in draws]
    return np.array([1 / min(max(temperature, 1 / _EXTREME), _EXTREME) for temperature in temperatures], np.float32)


def is_deterministic(draw: Draw) -> bool:
    """The draw is of a beam that knows no temperature and no cuts."""
    return draw.beam is not None and (draw.request.beams is None or draw.request.beams.kind == "DETERMINISTIC")


def is_cut(controls: Controls) -> bool:
    """Top-k, top-p or min-p leave out a part of the distribution."""
    return controls.top_k > 0 or controls.top_p < 1 or controls.min_p > 0


def is_walked(controls: Controls) -> bool:
    """A draw has to see the ranks of its row."""
    return is_cut(controls) or controls.xtc_probability > 0


def cuts_of(draws: Sequence[Draw]) -> Cuts:
    """The controls that cut, of each draw."""
    controls = [draw.request.controls for draw in draws]
    return Cuts(
        np.array([c.top_k for c in controls], np.int64),
        np.array([c.top_p for c in controls], np.float64),
        np.array([c.min_p for c in controls], np.float64),
    )


def _draw_uncut(rows: Rows, draws: Sequence[Draw], numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The tokens of draws from whole distributions."""
    places, scales = [draw.row for draw in draws], scales_of(draws)
    masses = rows.masses(places, scales)
    tokens = _failures(masses)
    sound = np.flatnonzero(masses.sound)
    starts, size = np.array(places, np.int64)[sound] * rows.vocab_size, rows.vocab_size
    tokens[sound] = draw_from_blocks(rows.flat, starts, size, masses.at(sound), scales[sound], numbers[sound, 0])
    return tokens


def _walk(rows: Rows, draws: Sequence[Draw], numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The tokens of draws whose distribution is cut: from the heads, and where these do not decide from the row."""
    scales = scales_of(draws)
    ranks, masses = rows.heads([draw.row for draw in draws], scales)
    scaled = _Scaled(masses.peaks[:, None], scales[:, None].astype(np.float64), masses.totals[:, None])
    cuts, chances = cuts_of(draws), _chances(draws, numbers)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # in rows that are not sound, told below
        tokens = _picked(ranks.tokens, ranks.logits, scaled, cuts, chances, rows.vocab_size)
    places = np.array([draw.row for draw in draws], np.int64)
    for size in (WIDER, rows.vocab_size):
        undecided = np.flatnonzero((tokens == UNDECIDED) & masses.sound)
        for some in (undecided[start : start + _TOGETHER] for start in range(0, len(undecided), _TOGETHER)):
            found = np.stack([ranked(rows.logits[place], size)[:size] for place in places[some].tolist()])
            values = rows.logits[places[some, None], found].astype(np.float64)
            tokens[some] = _picked(found, values, scaled.at(some), cuts.at(some), chances.at(some), rows.vocab_size)
    return np.where(masses.sound, tokens, _failures(masses))


def _picked(
    tokens: NDArray[np.int64],
    logits: NDArray[np.float64],
    scaled: _Scaled,
    cuts: Cuts,
    chances: Chances,
    vocab_size: int,
) -> NDArray[np.int64]:
    """The drawn one of each row of ranked tokens [N, K], with their logits; `UNDECIDED` where these do not decide."""
    probabilities = np.exp((logits - scaled.peaks) * scaled.scales) / scaled.totals
    ranks = pick(probabilities, cuts, chances, whole=tokens.shape[1] == vocab_size)
    return np.where(ranks == UNDECIDED, UNDECIDED, tokens[np.arange(len(ranks)), np.maximum(ranks, 0)])


def _failures(masses: Masses) -> NDArray[np.int64]:
    """What a draw gives where its row is not sound."""
    return np.where(masses.totals == 0, NOTHING_LEFT, NO_TOKEN).astype(np.int64)


def _chances(draws: Sequence[Draw], numbers: NDArray[np.float64]) -> Chances:
    """XTC applies at a step with its probability, and this has a number of its own."""
    controls = [draw.request.controls for draw in draws]
    applies = numbers[:, 1] < [c.xtc_probability for c in controls]
    return Chances(numbers[:, 0], np.where(applies, [c.xtc_threshold for c in controls], math.inf))
