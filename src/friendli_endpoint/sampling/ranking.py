"""More of a row's ranks than the native head holds: for the few draws that fall outside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits

WIDER: Final = 2048
"""How many ranks are looked at where the head is not enough; where these are not, the whole row is ranked."""


def ranked(row: Logits, size: int) -> NDArray[np.int64]:
    """The first `size` tokens of a row [vocab] by logit, highest first, equal ones by id.

    There may be more of them: all that equal the last one are among them, so that these are ranks to the last.
    """
    tokens = np.arange(len(row))
    if size < len(row):
        # Partitioning the values and looking for the tokens costs half of partitioning the tokens.
        tokens = np.flatnonzero(row >= np.partition(row, len(row) - size)[len(row) - size])
    # One integer per token, logit above id: sorting those is ten times faster than sorting by two keys.
    keys = (~_ordered_bits(row[tokens]).astype(np.int64) << 32) | tokens
    keys.sort()
    ids: NDArray[np.int64] = keys & 0xFFFFFFFF
    return ids


def _ordered_bits(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers in the order of the values (no NaN among them), equal where those are equal."""
    bits = (values + np.float32(0)).view(np.int32)  # adding zero makes -0.0 equal 0.0
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
