"""The logits of one step, and what is found in them natively for the draws that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.head import Masses, Ranks


class FindsHeads(Protocol):
    """`sampling.head.HeadFinder`, or numpy in tests."""

    def masses(self, logits: Logits, scales: NDArray[np.float32]) -> Masses:
        """The masses of rows [S, vocab], each with its scale [S]."""

    def heads(self, logits: Logits, scales: NDArray[np.float32]) -> tuple[Ranks, Masses]:
        """The masses, and the first ranks on top."""


class _Found(NamedTuple):
    """What has been found of some rows, and where it is."""

    places: dict[int, int]
    ranks: Ranks
    masses: Masses

    def places_of(self, rows: Sequence[int]) -> NDArray[np.int64] | None:
        """Where these rows are, None unless all of them are."""
        places = [self.places.get(row, -1) for row in rows]
        return None if min(places, default=-1) < 0 else np.array(places, np.int64)


class Rows:
    """Rows [S, vocab] by their indices: whatever is asked for comes once per index, in their order, repeated or not."""

    def __init__(self, heads: FindsHeads, logits: Logits) -> None:
        """The logits are contiguous; nothing here writes to them."""
        self.logits = logits
        self.flat = logits.reshape(-1, copy=False)
        self._heads = heads
        self._found: _Found | None = None

    @property
    def vocab_size(self) -> int:
        """How many logits a row has."""
        size: int = self.logits.shape[1]
        return size

    def find(self, rows: Sequence[int], scales: NDArray[np.float32]) -> None:
        """Have ranks and masses of all these rows found in one go; what is asked of them later has the same scales.

        The rows must not change any more.
        """
        block, places = self._gathered(rows)
        ranks, masses = self._heads.heads(block, _spread(scales, places, len(block)))
        known = dict(zip(rows, places.tolist(), strict=True))
        self._found = _Found(dict(enumerate(range(len(block)))) if block is self.logits else known, ranks, masses)

    def masses(self, rows: Sequence[int], scales: NDArray[np.float32]) -> Masses:
        """The masses of each, scaled by `scales` [rows]; a row that comes twice has one scale."""
        if self._found is not None and (known := self._found.places_of(rows)) is not None:
            return self._found.masses.at(known)
        block, places = self._gathered(rows)
        return self._heads.masses(block, _spread(scales, places, len(block))).at(places)

    def heads(self, rows: Sequence[int], scales: NDArray[np.float32]) -> tuple[Ranks, Masses]:
        """The masses of each, and its first ranks."""
        if self._found is not None and (known := self._found.places_of(rows)) is not None:
            return self._found.ranks.at(known), self._found.masses.at(known)
        block, places = self._gathered(rows)
        ranks, masses = self._heads.heads(block, _spread(scales, places, len(block)))
        return ranks.at(places), masses.at(places)

    def highest(self, rows: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The token with the highest logit of each, the lowest of equal ones, and that logit; NaN counts as highest."""
        if self._found is not None and (known := self._found.places_of(rows)) is not None:
            ranks, masses = self._found.ranks.at(known), self._found.masses.at(known)
            if masses.sound.all():
                return ranks.tokens[:, 0], ranks.logits[:, 0].astype(np.float32)
        block, places = self._gathered(rows)
        tokens = block.argmax(axis=1)[places]
        return tokens, block[places, tokens]

    def copy(self, rows: Sequence[int]) -> Rows:
        """These rows alone, as they are now."""
        return Rows(self._heads, self.logits[list(rows)])

    def _gathered(self, rows: Sequence[int]) -> tuple[Logits, NDArray[np.int64]]:
        """An array that holds the rows, and where in it they are: all of them if most are wanted, to save the copy."""
        distinct = sorted(set(rows))
        if 4 * len(distinct) >= 3 * len(self.logits):
            return self.logits, np.array(rows, np.int64)
        return self.logits[distinct], np.searchsorted(distinct, rows)


def _spread(scales: NDArray[np.float32], places: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    spread = np.ones(count, np.float32)
    spread[places] = scales
    return spread
