"""A weight tensor as it lies in a file: its type, its shape and its bytes, untouched until asked for."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

import gguf

from friendli_endpoint.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Kind = gguf.GGMLQuantizationType
KINDS = frozenset(
    {Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1}
    | {Kind.Q2_K, Kind.Q3_K, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K}
)
PLAIN = frozenset({Kind.F32, Kind.F16, Kind.BF16})  # one value after the other: the types of vectors
# gguf dequantises 16 rows at a time: with rows of about this many bytes its temporaries stay in the processor's cache.
CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """`shape` is [outputs, inputs] or [size]; `data` holds the file's bytes of the tensor.

    `row_order`, when there is one, says which stored row comes at each place.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    data: NDArray[np.uint8]
    row_order: NDArray[np.intp] | None = None

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def reordered(self, row_order: NDArray[np.intp]) -> StoredTensor:
        return replace(self, row_order=row_order)

    def blocks(self) -> NDArray[np.uint8]:
        """The stored quantisation blocks in the tensor's row order, uint8 [rows, bytes per row]."""
        rows = self.data.reshape(self.shape[0], -1)
        return rows if self.row_order is None else rows[self.row_order]

    def float32(self) -> NDArray[np.float32]:
        """The values, dequantised, in `shape`."""
        blocks = self.blocks()
        widened = blocks.reshape(-1, _wide_row(blocks.nbytes, gguf.GGML_QUANT_SIZES[self.kind][1]))
        values: NDArray[np.float32] = gguf.dequantize(widened, self.kind).reshape(self.shape)
        return values


def mapped(path: Path) -> memoryview:
    """The bytes of a file, read only when touched; ModelError when it cannot be read."""
    with opened(path) as file:
        try:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot read {path}: {error}") from error


def opened(path: Path) -> BinaryIO:
    """A file, to be read; ModelError when it cannot be, or is none: reading from a pipe or a device may never end."""
    try:
        if path.exists() and not path.is_file():
            raise ModelError(f"cannot read {path}: it is not a file")
        return path.open("rb")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def stored_bytes(name: str, kind: Kind, shape: tuple[int, ...]) -> int:
    """How many bytes a tensor takes; ModelError when its type or row length is not one that can be read."""
    if kind not in KINDS:
        known = ", ".join(sorted(each.name for each in KINDS))
        raise ModelError(f"tensor {name} has weight type {kind.name}, which is not supported; supported are {known}")
    block, size = gguf.GGML_QUANT_SIZES[kind]
    if not shape or min(shape) < 1 or shape[-1] % block or (len(shape) == 1 and kind not in PLAIN):
        raise ModelError(f"tensor {name} has shape {list(shape)}, which {kind.name} weights cannot have")
    return math.prod(shape) // block * size


def _wide_row(total: int, unit: int) -> int:
    """The largest divisor of `total` that is a multiple of `unit` and at most about CHUNK_BYTES, by halving."""
    width = total
    while width > CHUNK_BYTES and width % (2 * unit) == 0:
        width //= 2
    return width
