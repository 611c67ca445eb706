"""The adapters in memory, stacked as the graph reads them: slot after slot, so that some slots are one view."""

from __future__ import annotations

import mmap
from contextlib import suppress
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.model.adapters.adapter import LowRank
    from friendli_endpoint.model.adapters.branches import Branch


FLOAT_BYTES = 4


class Arena:
    """`slots` places for adapters of at most `rank`. An empty slot is never touched, so it takes no memory."""

    def __init__(self, branches: Sequence[Branch], rank: int, slots: int) -> None:
        self.rank = rank
        self._branches = tuple(branches)
        room = _untouched(slots * self.bytes_per_slot(self._branches, rank))
        shapes = [(slots, *shape) for branch in self._branches for shape in _shapes(branch, rank)]
        parts = np.split(room, list(accumulate(map(prod, shapes)))[:-1])
        arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        self._a, self._b = arrays[0::2], arrays[1::2]

    @staticmethod
    def bytes_per_slot(branches: Sequence[Branch], rank: int) -> int:
        """What one adapter takes."""
        return sum(FLOAT_BYTES * prod(shape) for branch in branches for shape in _shapes(branch, rank))

    def write(self, slot: int, changes: Mapping[str, LowRank]) -> None:
        """Put an adapter into a slot, over whatever was there. Its parts are among the branches', its rank fits."""
        for branch, a, b in zip(self._branches, self._a, self._b, strict=True):
            for part, place in branch.places.items():
                ranks = slice(place.rank * self.rank, (place.rank + 1) * self.rank)
                a_part, b_part = a[slot, place.product, :, ranks], b[slot, place.product, ranks, place.columns]
                _write(a_part, b_part, changes.get(branch.tensor(part)))

    def exchange(self, one: int, other: int) -> None:
        for array in (*self._a, *self._b):
            array[[one, other]] = array[[other, one]]

    def feeds(self, slots: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """The graph's inputs for the first `slots`: as in `low_rank.weights`."""
        for branch, a, b in zip(self._branches, self._a, self._b, strict=True):
            yield branch.a, a[:slots]
            yield branch.b, b[:slots]


def _untouched(size: int) -> NDArray[np.float32]:
    """`size` bytes of zeros in one allocation, which the system gets back as a whole when another arena takes over.

    In small pages: numpy asks for huge ones, and as each array begins with slot 0, its first adapter would touch them
    all, which takes half a second, and the memory of every slot.
    """
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError, AttributeError):  # a system without huge pages
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32)


def _shapes(branch: Branch, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    products, ranks = len(branch.products), branch.stacked * rank
    return (products, branch.inputs, ranks), (products, ranks, branch.outputs)


def _write(a: NDArray[np.float32], b: NDArray[np.float32], change: LowRank | None) -> None:
    """Fill a part's places, `a` [inputs, rank] and `b` [rank, outputs], with zeros where the adapter has less."""
    rank = 0 if change is None else len(change.a)
    a[:, rank:] = 0
    b[rank:] = 0
    if change is not None:
        a[:, :rank] = change.a.T
        b[:rank] = change.b.T
