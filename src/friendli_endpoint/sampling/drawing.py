"""Random draws: what each needs of its row, and its token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from friendli_endpoint.sampling.blocks import draw_from_blocks
from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT
from friendli_endpoint.sampling.pick import UNDECIDED, Chances, Cuts, pick
from friendli_endpoint.sampling.random import uniforms
from friendli_endpoint.sampling.ranking import WIDER, ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.engine.vocabulary import Controls
    from friendli_endpoint.sampling.draw import Draw
    from friendli_endpoint.sampling.head import Masses
    from friendli_endpoint.sampling.rows import Rows

_LARGEST_SCALE: Final = 1e30


def draw_tokens(rows: Rows, draws: Sequence[Draw]) -> NDArray[np.int64]:
    """The token of each draw, or `NO_TOKEN`; `NOTHING_LEFT` where all logits are minus infinity."""
    seeds, positions = np.array([(draw.seed, draw.position) for draw in draws], np.uint64).T
    numbers = uniforms(seeds, positions)
    tokens = np.empty(len(draws), np.int64)
    walked = np.array([_is_walked(draw.request.controls) for draw in draws])
    for draw_some, wanted in ((_walk, np.flatnonzero(walked)), (_draw_uncut, np.flatnonzero(~walked))):
        if len(wanted):
            tokens[wanted] = draw_some(rows, [draws[i] for i in wanted.tolist()], numbers[wanted])
    return tokens


def scales_of(draws: Sequence[Draw]) -> NDArray[np.float32]:
    """1 / temperature, bounded so that the smallest temperature is not infinity in float32."""
    least = 1 / _LARGEST_SCALE
    return np.array([1 / max(draw.request.controls.temperature, least) for draw in draws], np.float32)


def is_cut(controls: Controls) -> bool:
    """Top-k, top-p or min-p leave out a part of the distribution."""
    return controls.top_k > 0 or controls.top_p < 1 or controls.min_p > 0


def _is_walked(controls: Controls) -> bool:
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
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # in rows that are not sound, told below
        below = (ranks.logits - masses.peaks[:, None]) * scales[:, None].astype(np.float64)
        probabilities = np.exp(below) / masses.totals[:, None]
        cuts, chances = cuts_of(draws), _chances(draws, numbers)
        picked = pick(probabilities, cuts, chances, whole=below.shape[1] == rows.vocab_size)
    tokens = np.take_along_axis(ranks.tokens, np.maximum(picked, 0)[:, None], axis=1)[:, 0]
    for i in np.flatnonzero((picked == UNDECIDED) & masses.sound).tolist():
        row, scale = rows.logits[draws[i].row], float(scales[i])
        peak, total = float(masses.peaks[i]), float(masses.totals[i])
        tokens[i] = _walk_row(row, scale, peak, total, cuts.of(i), chances.of(i))
    return np.where(masses.sound, tokens, _failures(masses))


def _failures(masses: Masses) -> NDArray[np.int64]:
    """What a draw gives where its row is not sound."""
    return np.where(masses.totals == 0, NOTHING_LEFT, NO_TOKEN).astype(np.int64)


def _walk_row(row: Logits, scale: float, peak: float, total: float, cuts: Cuts, chances: Chances) -> int:
    """The token of one draw whose head did not decide: look at more of the row [vocab], at last at all of it."""
    for size in (WIDER, len(row)):
        tokens = ranked(row, size)
        probabilities = np.exp((row[tokens].astype(np.float64) - peak) * scale) / total
        rank = int(pick(probabilities[None], cuts, chances, whole=len(tokens) == len(row))[0])
        if rank != UNDECIDED:
            return int(tokens[rank])
    raise ValueError("a whole row left its draw undecided")


def _chances(draws: Sequence[Draw], numbers: NDArray[np.float64]) -> Chances:
    """XTC applies at a step with its probability, and this has a number of its own."""
    controls = [draw.request.controls for draw in draws]
    applies = numbers[:, 1] < [c.xtc_probability for c in controls]
    return Chances(numbers[:, 0], np.where(applies, [c.xtc_threshold for c in controls], math.inf))
