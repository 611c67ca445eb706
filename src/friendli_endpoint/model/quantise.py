"""Stored tensors -> the weights that the graph holds: 8 bits with a scale per 32 inputs, or 16 bits.

Q8_0 is held exactly, and so is Q4_0, in 4 bits: the same products from half the bytes. Every other type is
dequantised and rounded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.stored import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.files.stored import StoredTensor
    from friendli_endpoint.model.config import WeightMode

GROUP = 32
LARGEST = 127
SLICE_ROWS = 256  # rows handled at a time, so that temporaries stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Packed:
    """`values` int8 [outputs, groups, GROUP] times `scales` float16 [outputs, groups, 1]."""

    values: NDArray[np.int8]
    scales: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Nibbles:
    """As Packed, with two signed 4-bit numbers in a byte, the first one low: uint8 [outputs, groups, GROUP / 2]."""

    values: NDArray[np.uint8]
    scales: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Half:
    """`values` float16 [outputs, inputs]."""

    values: NDArray[np.float16]


Weight: TypeAlias = Packed | Nibbles | Half


def pack(tensors: Sequence[StoredTensor], mode: WeightMode) -> Weight:
    """One matrix of all the tensors' outputs, in order. ModelError when `mode` cannot hold the values."""
    if mode == "f16" or (mode == "auto" and tensors[0].shape[-1] % GROUP):
        return Half(np.concatenate([_half(tensor) for tensor in tensors]))
    parts = [_packed(tensor) for tensor in tensors]
    packed = Packed(np.concatenate([p.values for p in parts]), np.concatenate([p.scales for p in parts]))
    return _nibbles(packed) if all(tensor.kind is Kind.Q4_0 for tensor in tensors) else packed


def check_groups(tensor: StoredTensor, mode: WeightMode) -> None:
    """ModelError when 8 bits are asked for and the tensor's inputs don't fall into whole groups."""
    if mode == "i8" and tensor.shape[-1] % GROUP:
        raise ModelError(f"tensor {tensor.name} has {tensor.shape[-1]} inputs, no multiple of {GROUP}; use f16 weights")


def _half(tensor: StoredTensor) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        values = tensor.float32().astype(np.float16)
    _require_finite(values, tensor)
    return values


def _packed(tensor: StoredTensor) -> Packed:
    match tensor.kind:
        case Kind.Q8_0:
            scales, values = np.split(_grouped(tensor), [2], axis=-1)
            packed = Packed(values.view(np.int8), np.ascontiguousarray(scales).view(np.float16))
        case Kind.Q4_0:
            scales, pairs = np.split(_grouped(tensor), [2], axis=-1)
            nibbles = np.concatenate([pairs & 15, pairs >> 4], axis=-1).view(np.int8)
            packed = Packed(nibbles - np.int8(8), np.ascontiguousarray(scales).view(np.float16))
        case _:
            packed = _rounded(tensor.float32())
    _require_finite(packed.scales, tensor)
    return packed


def _nibbles(packed: Packed) -> Nibbles:
    """`packed`, whose values are from -8 to 7, in half the bytes."""
    values = packed.values.view(np.uint8) & np.uint8(15)
    return Nibbles(values[..., 0::2] | values[..., 1::2] << np.uint8(4), packed.scales)


def _grouped(tensor: StoredTensor) -> NDArray[np.uint8]:
    """The stored blocks of a type that has one block per GROUP: uint8 [outputs, groups, bytes per block]."""
    rows, columns = tensor.shape
    return tensor.blocks().reshape(rows, columns // GROUP, -1)


def _rounded(matrix: NDArray[np.float32]) -> Packed:
    rows, columns = matrix.shape
    groups = matrix.reshape(rows, columns // GROUP, GROUP)
    values = np.empty(groups.shape, np.int8)
    scales = np.empty((rows, columns // GROUP, 1), np.float16)
    for begin in range(0, rows, SLICE_ROWS):
        part = slice(begin, begin + SLICE_ROWS)
        values[part], scales[part] = _round_slice(groups[part])
    return Packed(values, scales)


def _round_slice(groups: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.maximum(groups.max(axis=-1, keepdims=True), -groups.min(axis=-1, keepdims=True))
        scales = (largest / np.float32(LARGEST)).astype(np.float16)
        # Rounding by the scale as it is kept, not as it was computed: its own rounding must not add to the error.
        kept = np.where(scales == 0, np.float32(1), scales.astype(np.float32))
        values = np.rint(groups / kept)
        # A scale too small for float16 has lost bits: what it cannot reach is cut off.
        return np.clip(values, -LARGEST, LARGEST).astype(np.int8), scales


def _require_finite(values: NDArray[np.float16], tensor: StoredTensor) -> None:
    if not np.isfinite(values).all():
        raise ModelError(f"tensor {tensor.name} has values that are not finite or too large for 16 bits")
