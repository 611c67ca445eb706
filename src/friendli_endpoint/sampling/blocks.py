"""Draws from whole distributions, which no control cuts: inverse transform sampling over blocks of token ids.

The number chooses a block by the blocks' native sums, and what it has left chooses a token inside, in float64. The cost
is the same for a flat distribution as for a steep one: nothing has to be ranked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.sampling.head import MASS_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.head import Masses


def draw_from_blocks(
    flat: Logits,
    starts: NDArray[np.int64],
    vocab_size: int,
    masses: Masses,
    scales: NDArray[np.float32],
    numbers: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The drawn token of each draw [N].

    Draw i is from the row of `vocab_size` logits at `flat[starts[i]]`, times `scales[i]`, by `numbers[i]` in [0, 1);
    `masses` are those of these rows.
    """
    block, rest = _choose(masses.blocks, numbers)
    tokens = block[:, None] * MASS_WIDTH + np.arange(MASS_WIDTH)
    inside = tokens < vocab_size  # the last block may be shorter
    values = flat[np.where(inside, tokens, 0) + starts[:, None]].astype(np.float64)
    weights = np.exp((values - masses.peaks[:, None]) * scales[:, None]) * inside
    return block * MASS_WIDTH + _choose(weights, rest)[0]


def _choose(
    weights: NDArray[np.float64], numbers: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A column for each row of the weights [N, K], never one without weight, and where in it the number lies."""
    sums = weights.cumsum(axis=1)
    targets = numbers * sums[:, -1]
    # Rounding may carry a target to the very end of the sums.
    last = np.count_nonzero(sums < sums[:, -1:], axis=1)
    chosen = np.minimum(np.count_nonzero(sums <= targets[:, None], axis=1), last)
    weight = np.take_along_axis(weights, chosen[:, None], axis=1)[:, 0]
    before = np.take_along_axis(sums, chosen[:, None], axis=1)[:, 0] - weight
    return chosen, np.clip((targets - before) / weight, 0.0, np.nextafter(1.0, 0.0))
