"""The runtime's paged attention: the one module that knows its inputs.

The operation is private to OpenVINO, so its inputs can change with any minor version; pyproject.toml pins it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from openvino import opset16 as op
from openvino.op import _PagedAttentionExtension as PagedAttention

from friendli_endpoint.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

VERSION = "2026.4"
BLOCK_SIZE = 32  # tokens per KV block, fixed by the CPU plugin
KEY_CACHE, VALUE_CACHE = "key_cache", "value_cache"


@dataclass(frozen=True, slots=True)
class RowInputs:
    """What says which tokens belong together and where their KV lies: graph inputs, the same in every layer.

    past_lens             int32 [R]      tokens that each row's blocks already hold
    subsequence_begins    int32 [R + 1]  where each row's tokens begin among the T new ones
    block_indices         int32 [blocks] the rows' block tables, one after the other
    block_indices_begins  int32 [R + 1]  where each row's table begins
    max_context_len       int32 []       the longest row, past and new tokens together
    """

    past_lens: ov.Node
    subsequence_begins: ov.Node
    block_indices: ov.Node
    block_indices_begins: ov.Node
    max_context_len: ov.Node

    @classmethod
    def create(cls) -> RowInputs:
        names = [each.name for each in fields(cls)]
        shapes: dict[str, list[int]] = {key: [-1] for key in names} | {"max_context_len": []}
        return cls(**{name: parameter(name, shapes[name], ov.Type.i32) for name in names})

    def parameters(self) -> list[ov.Node]:
        return [getattr(self, each.name) for each in fields(self)]


@dataclass(frozen=True, slots=True)
class Heads:
    queries: int
    keys: int
    size: int


def parameter(name: str, shape: list[int], dtype: ov.Type) -> ov.Node:
    """A named graph input; -1 in the shape is a size that may change."""
    node = op.parameter(shape, dtype, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def cache_parameters(layer: int) -> list[ov.Node]:
    """The key and value cache inputs of a layer; the plugin decides their shape and type when it compiles."""
    return [parameter(f"{kind}.{layer}", [-1] * 4, ov.Type.dynamic) for kind in (KEY_CACHE, VALUE_CACHE)]


def attend(
    q: ov.Node, k: ov.Node, v: ov.Node, caches: list[ov.Node], rows: RowInputs, heads: Heads, window: int
) -> ov.Output:
    """Causal attention of T new tokens, [T, heads * size] each; k and v are written to their blocks first.

    `window` bounds how many tokens back a token attends, itself included; 0 is no bound.
    """
    inputs = [q, k, v, *caches, rows.past_lens, rows.subsequence_begins, rows.block_indices, rows.block_indices_begins]
    inputs += [op.constant(np.float32(heads.size**-0.5)), _number(window), _empty(np.float32), rows.max_context_len]
    try:
        node = PagedAttention([each.output(0) for each in [*inputs, *_unused()]])
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO {ov.__version__} has another paged attention than the one of {VERSION}, which this release "
            f"is written for; install openvino=={VERSION}.*"
        ) from error
    sizes = {"num_k_heads": heads.keys, "k_head_size": heads.size, "num_v_heads": heads.keys, "v_head_size": heads.size}
    for key, value in sizes.items():
        node.get_rt_info()[key] = value  # the plugin shapes the cache inputs by these
    return node.output(0)


def _unused() -> list[ov.Node]:
    """The inputs after `max_context_len`, all features left off by being empty or zero."""
    scores, rotated_blocks, rotation_deltas = (_empty(np.int32) for _ in range(3))
    rotation_table = _empty(np.float32)
    sparse_threshold, sparse_block, sparse_stride = _empty(np.float32), _number(0), _number(0)
    sinks = _empty(np.float32, (0, 0, 0, 0))
    evict_start, evict_sizes, evict_blocks, evict_begins = _number(0), *(_empty(np.int32) for _ in range(3))
    token_types, query_bias, query_bias_begins = _empty(np.int32), _empty(np.uint8), _empty(np.int32)
    return [
        *(scores, rotated_blocks, rotation_deltas, rotation_table),
        *(sparse_threshold, sparse_block, sparse_stride, sinks),
        *(evict_start, evict_sizes, evict_blocks, evict_begins),
        *(token_types, query_bias, query_bias_begins),
    ]


def _empty(dtype: DTypeLike, shape: tuple[int, ...] = (0,)) -> ov.Node:
    return op.constant(np.zeros(shape, dtype))


def _number(value: int) -> ov.Node:
    return op.constant(np.int32(value))
