"""The decoder's building blocks, in the patterns that the CPU plugin fuses. Activations are [T, 1, channels]."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import openvino as ov
from openvino import opset16 as op

from friendli_endpoint.model.quantise import GROUP, Half, Nibbles, Packed, Weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.model.rope import Rope

Value: TypeAlias = "ov.Node | ov.Output"


def weight(values: Weight) -> ov.Node:
    """A matrix [outputs, inputs] that stays compressed in memory until a product reads it."""
    if isinstance(values, Half):
        return op.convert(op.constant(values.values, shared_memory=True), "f32")
    rows, groups, _ = values.scales.shape
    scales = op.constant(values.scales, shared_memory=True)
    scaled = op.multiply(op.convert(_integer_constant(values), "f16"), scales)
    return op.convert(op.reshape(scaled, _integers(rows, groups * GROUP), special_zero=False), "f32")


def _integer_constant(values: Packed | Nibbles) -> ov.Node:
    if isinstance(values, Packed):
        return op.constant(values.values, shared_memory=True)
    rows, groups, _ = values.scales.shape
    # A tensor of a type that numpy lacks does not keep its bytes alive, so this constant takes a copy.
    packed = ov.Tensor(values.values.reshape(-1), ov.Shape([rows, groups, GROUP]), ov.Type.i4)
    return op.constant(packed, shared_memory=False)


def linear(x: Value, matrix: Value, bias: NDArray[np.float32] | None) -> ov.Node:
    product = op.matmul(x, matrix, transpose_a=False, transpose_b=True)
    return product if bias is None else op.add(product, op.constant(bias.reshape(1, 1, -1)))


def split(x: Value, sizes: Sequence[int], axis: int = -1) -> list[ov.Output]:
    """`x` cut along its channels, or another axis."""
    parts: list[ov.Output] = op.variadic_split(x, op.constant(np.int64(axis)), _integers(*sizes)).outputs()
    return parts


def rms_norm(x: Value, scale: NDArray[np.float32], epsilon: float) -> ov.Node:
    """`x` over the root of its mean square along the last axis, times `scale` [channels]."""
    mean_square = op.reduce_mean(op.power(x, _float(2.0)), _integers(-1), keep_dims=True)
    inverse = op.divide(_float(1.0), op.sqrt(op.add(mean_square, _float(epsilon))))
    shape = (1,) * (len(x.get_output_partial_shape(0)) - 1) + (-1,)
    return op.multiply(op.multiply(x, inverse), op.constant(scale.reshape(shape)))


def rope_table(positions: ov.Node, rope: Rope) -> tuple[ov.Node, ov.Node]:
    """Cosine and sine [T, 1, 1, head size] for int64 positions [T]."""
    column = op.unsqueeze(op.convert(positions, "f32"), _integers(1, 2))
    frequencies = op.constant(rope.frequencies.reshape(1, 1, -1))
    angle = op.matmul(column, frequencies, transpose_a=False, transpose_b=False)
    both = op.concat([angle, angle], -1)
    tables = [op.unsqueeze(function(both), _integers(1)) for function in (op.cos, op.sin)]
    if rope.magnitude != 1.0:
        tables = [op.multiply(table, _float(rope.magnitude)) for table in tables]
    return tables[0], tables[1]


def by_head(x: Value, heads: int, size: int) -> ov.Node:
    """[T, 1, heads * size] -> [T, 1, heads, size]."""
    return op.reshape(x, _integers(0, 0, heads, size), special_zero=True)


def rotate(x: Value, table: tuple[ov.Node, ov.Node], size: int) -> ov.Node:
    """Rotary positions on [T, 1, heads, size]: the first half of a head's channels turns with the second."""
    cosine, sine = table
    y = op.transpose(x, _integers(0, 2, 1, 3))
    low, high = _slice(y, 0, size // 2), _slice(y, size // 2, 2**31 - 1)
    turned = op.concat([op.multiply(high, _float(-1.0)), low], -1)
    return op.add(op.multiply(y, cosine), op.multiply(turned, sine))


def flat(x: Value, channels: int) -> ov.Node:
    """Any shape of T times `channels` values -> [T, channels]."""
    return op.reshape(x, _integers(-1, channels), special_zero=False)


def rows(table: Value, indices: Value) -> ov.Node:
    """The rows of `table` at int64 `indices`."""
    return op.gather(table, indices, op.constant(np.int64(0)))


def with_rows(table: Value, indices: Value, values: Value) -> ov.Node:
    """`table` with `values` for its rows at int64 `indices`, of which there may be none."""
    return op.scatter_update(table, indices, values, op.constant(np.int64(0)))


def column(indices: Value) -> ov.Node:
    """[T] -> [T, 1]."""
    return op.unsqueeze(indices, _integers(1))


def _slice(x: Value, begin: int, end: int) -> ov.Node:
    return op.slice(x, _integers(begin), _integers(end), _integers(1), _integers(3))


def _integers(*values: int) -> ov.Node:
    return op.constant(np.array(values, np.int64))


def _float(value: float) -> ov.Node:
    return op.constant(np.float32(value))
