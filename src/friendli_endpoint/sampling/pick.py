"""One row's distribution and a uniform number -> one token, exactly.

Order of the controls: temperature, top-k, top-p, draw; as `transformers` applies them. Tokens are ranked by logit,
highest first, equal ones by id; a draw walks them in that order. So the token depends on the row and the number alone,
not on how much of the row was looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.vocabulary import Controls

_WIDER: Final = 2048


def pick(probabilities: NDArray[np.float64], controls: Controls, uniform: float, *, whole: bool) -> int | None:
    """The rank of the drawn token, or None when the answer lies beyond the ranks given.

    `probabilities` [K] are those of the K first ranks within the whole scaled distribution, highest first; `whole`
    says that there are no others.
    """
    ranks = len(probabilities)
    if 0 < controls.top_k <= ranks:
        probabilities, whole = probabilities[: controls.top_k], True
    elif controls.top_k > ranks and not whole:
        return None
    mass = probabilities.cumsum()
    total = float(mass[-1]) if whole else 1.0
    if controls.top_p < 1:
        # A token stays while the mass above it is below top-p: the smallest set that reaches it.
        kept = int(np.searchsorted(mass, controls.top_p * total, side="left")) + 1
        if kept > len(mass) and not whole:
            return None
        total, whole = float(mass[min(kept, len(mass)) - 1]), True
    rank = int(np.searchsorted(mass, uniform * total, side="right"))
    if rank >= len(mass):
        return len(mass) - 1 if whole else None
    return rank


def pick_from_row(row: NDArray[np.float32], scale: float, log_sum: float, controls: Controls, uniform: float) -> int:
    """The drawn token of a row [vocab] whose head did not decide: look at more of it, at last at all of it."""
    ranked, rank = _ranked(row, _WIDER), None
    if len(ranked) < len(row):
        rank = pick(_probabilities(row[ranked], scale, log_sum), controls, uniform, whole=False)
        if rank is not None and row[ranked[rank]] == row[ranked[-1]]:
            rank = None  # one of equal logits of which the cut may have left out some
    if rank is None:
        ranked = _ranked(row, len(row))
        rank = pick(_probabilities(row[ranked], scale, log_sum), controls, uniform, whole=True)
    return int(ranked[rank or 0])


def _probabilities(logits: NDArray[np.float32], scale: float, log_sum: float) -> NDArray[np.float64]:
    return np.exp(logits.astype(np.float64) * scale - log_sum)


def _ranked(row: NDArray[np.float32], size: int) -> NDArray[np.int64]:
    """The first `size` tokens by logit, highest first, equal ones by id."""
    size = min(size, len(row))
    tokens = np.argpartition(row, len(row) - size)[len(row) - size :] if size < len(row) else np.arange(len(row))
    # One integer per token, logit above id: sorting those is ten times faster than sorting by two keys.
    keys = (~_ordered_bits(row[tokens]).astype(np.int64) << 32) | tokens
    keys.sort()
    return keys & 0xFFFFFFFF


def _ordered_bits(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers in the order of the values (no NaN among them), equal where those are equal."""
    bits = (values + np.float32(0)).view(np.int32)  # adding zero makes -0.0 equal 0.0
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
