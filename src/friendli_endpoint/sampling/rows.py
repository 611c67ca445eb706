"""The logits of one step, and what is found in them natively for the draws that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.head import Masses, Ranks


class FindsHeads(Protocol):
    """`sampling.head.HeadFinder`, or numpy in tests."""

    def ranks(self, logits: Logits) -> Ranks:
        """The first ranks of rows [S, vocab]."""

    def masses(self, logits: Logits, scales: NDArray[np.float32]) -> Masses:
        """The masses of rows [S, vocab], each with its scale [S]."""


class Rows:
    """Rows [S, vocab] by their indices: whatever is asked for comes once per index, in their order, repeated or not."""

    def __init__(self, heads: FindsHeads, logits: Logits) -> None:
        self.logits = logits
        self._heads = heads

    @property
    def vocab_size(self) -> int:
        """How many logits a row has."""
        return self.logits.shape[1]

    def ranks(self, rows: Sequence[int]) -> Ranks:
        """The first ranks of each."""
        block, places = self._gathered(rows)
        return self._heads.ranks(block).at(places)

    def masses(self, rows: Sequence[int], scales: NDArray[np.float32]) -> Masses:
        """The masses of each, scaled by `scales` [rows]; a row that comes twice has one scale."""
        block, places = self._gathered(rows)
        scale_of = np.ones(len(block), np.float32)
        scale_of[places] = scales
        return self._heads.masses(block, scale_of).at(places)

    def highest(self, rows: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The token with the highest logit of each, the lowest of equal ones, and that logit; NaN counts as highest."""
        block, places = self._gathered(rows)
        tokens = block.argmax(axis=1)[places]
        return tokens, block[places, tokens]

    def copy(self, rows: Sequence[int]) -> Rows:
        """These rows alone, as they are now."""
        return Rows(self._heads, self.logits[list(rows)])

    def _gathered(self, rows: Sequence[int]) -> tuple[Logits, NDArray[np.int64]]:
        """An array that holds the rows, and where in it they are; all of them if most are wanted, which saves a copy."""
        distinct = sorted(set(rows))
        if 2 * len(distinct) >= len(self.logits):
            return self.logits, np.array(rows, np.int64)
        return self.logits[distinct], np.searchsorted(distinct, rows)
