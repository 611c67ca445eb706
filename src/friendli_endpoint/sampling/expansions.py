"""The ways in which the beams of a step may go on: their rows as ranked distributions, handed to the beam search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.sampling.beams.expand import expand
from friendli_endpoint.sampling.distribution import BeamRow, Distribution
from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT, Expansion
from friendli_endpoint.sampling.drawing import cuts_of, is_cut, is_deterministic, scales_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.sampling.draw import Draw
    from friendli_endpoint.sampling.rows import Rows


def pre_normalises(draw: Draw) -> bool:
    """The draw's row becomes log-probabilities before anything else."""
    return draw.beam is not None and draw.request.beams is not None and draw.request.beams.pre_normalize


def pre_normalise(rows: Rows, draws: Sequence[Draw]) -> None:
    """Turn the rows of draws that want it into log-probabilities, in place."""
    wanted = sorted({draw.row for draw in draws if pre_normalises(draw)})
    if wanted:
        masses = rows.masses(wanted, np.ones(len(wanted), np.float32))
        for i in np.flatnonzero(masses.sound).tolist():
            rows.logits[wanted[i]] -= np.float32(masses.log_sums[i])


def expand_beams(rows: Rows, draws: Sequence[Draw]) -> list[Expansion]:
    """The candidates of each beam; `NOTHING_LEFT` where all logits are minus infinity."""
    scales = scales_of(draws)
    places = [draw.row for draw in draws]
    ranks, masses = rows.heads(places, scales)
    sound: list[int] = np.flatnonzero(masses.sound).tolist()
    distributions = []
    for i in sound:
        draw = draws[i]
        row = BeamRow(
            logits=rows.logits[draw.row],
            scale=float(scales[i]),
            peak=float(masses.peaks[i]),
            total=float(masses.totals[i]),
            cuts=None if is_deterministic(draw) or not is_cut(draw.request.controls) else cuts_of([draw]),
            normalise=draw.request.beams is None or draw.request.beams.post_normalize,
        )
        distributions.append(Distribution(row, ranks.logits[i], ranks.tokens[i]))
    expansions = [Expansion((), NOTHING_LEFT if total == 0 else NO_TOKEN) for total in masses.totals]
    for i, candidates in zip(sound, expand(distributions, [draws[i] for i in sound]), strict=True):
        expansions[i] = Expansion(candidates)
    return expansions
