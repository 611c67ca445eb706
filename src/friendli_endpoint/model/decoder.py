"""A checkpoint -> the paged graph: one forward over any mix of prompts, chunks of prompts and single tokens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from openvino import opset16 as op

from friendli_endpoint.model import low_rank, pieces
from friendli_endpoint.model.low_rank import GroupInputs
from friendli_endpoint.model.names import PRODUCTS, layer_tensor
from friendli_endpoint.model.paged_attention import Heads, RowInputs, attend, cache_parameters, parameter
from friendli_endpoint.model.quantise import pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.checkpoint import Checkpoint
    from friendli_endpoint.model.config import WeightMode
    from friendli_endpoint.model.pieces import Value
    from friendli_endpoint.model.quantise import Weight


@dataclass(frozen=True, slots=True)
class Shared:
    """Nodes that every layer reads."""

    rows: RowInputs
    rope: tuple[ov.Node, ov.Node]


def build(checkpoint: Checkpoint, mode: WeightMode, threads: int, branches: Sequence[Branch] = ()) -> ov.Model:
    """The graph; inputs: the rows and caches of paged attention, int64 `tokens` and `positions` [T], `sampled` [S],
    `replaced` [E], and float32 `embeddings` [E, 1, hidden size] that tokens `replaced` have instead of their own.

    With `branches` there are also the inputs of `low_rank`, for adapters that change those projections.
    Its one output holds the logits of the sampled tokens, float32 [S, vocabulary].
    """
    with ThreadPoolExecutor(threads) as pool:
        return _Decoder(checkpoint, _pack_all(checkpoint, mode, pool), branches).model()


def _pack_all(checkpoint: Checkpoint, mode: WeightMode, pool: ThreadPoolExecutor) -> dict[str, Future[Weight]]:
    """Every matrix, packed while the graph is being built; a fused product goes by its first part's name."""
    tensors, config = checkpoint.tensors, checkpoint.config
    groups = [["embedding"]] if config.tied else [["embedding"], ["head"]]
    groups += [[layer_tensor(i, part) for part in parts] for i in range(config.layers) for parts in PRODUCTS]
    return {names[0]: pool.submit(pack, [tensors[name] for name in names], mode) for names in groups}


class _Decoder:
    def __init__(
        self, checkpoint: Checkpoint, weights: Mapping[str, Future[Weight]], branches: Sequence[Branch]
    ) -> None:
        self._config = checkpoint.config
        self._tensors = checkpoint.tensors
        self._weights = weights
        self._parameters: list[ov.Node] = []
        self._branches = {(branch.layer, part): branch for branch in branches for part in branch.places}
        self._groups = GroupInputs.create(branches)
        if branches:
            self._parameters += self._groups.parameters()

    def model(self) -> ov.Model:
        config = self._config
        tokens, positions, sampled, replaced = map(self._input, ("tokens", "positions", "sampled", "replaced"))
        embeddings = self._input("embeddings", [-1, 1, config.hidden], ov.Type.f32)
        rows = RowInputs.create()
        self._parameters += rows.parameters()
        shared = Shared(rows, pieces.rope_table(positions, config.rope))
        embedding = pieces.weight(self._weights["embedding"].result())
        x = pieces.with_rows(pieces.rows(embedding, pieces.column(tokens)), replaced, embeddings)
        for layer in range(config.layers):
            x = self._layer(x, layer, shared)
        # Only rows that are sampled reach the head, the model's largest product.
        x = self._norm(pieces.rows(x, sampled), "final_norm")
        head = embedding if config.tied else pieces.weight(self._weights["head"].result())
        logits = op.result(pieces.flat(pieces.linear(x, head, None), config.vocab_size))
        return ov.Model([logits], self._parameters, config.architecture)

    def _layer(self, x: Value, layer: int, shared: Shared) -> ov.Node:
        q, k, v = self._project(self._norm(x, layer_tensor(layer, "attention_norm")), layer, "q", "k", "v")
        x = op.add(x, *self._project(self._attention(q, k, v, layer, shared), layer, "o"))
        h = self._norm(x, layer_tensor(layer, "feed_forward_norm"))
        gate, up = self._project(h, layer, "gate", "up")
        return op.add(x, *self._project(op.multiply(op.swish(gate), up), layer, "down"))

    def _attention(self, q: Value, k: Value, v: Value, layer: int, shared: Shared) -> ov.Node:
        config = self._config
        heads = Heads(config.heads, config.kv_heads, config.head_size)
        caches = cache_parameters(layer)
        self._parameters += caches
        q = self._positioned(q, heads.queries, layer_tensor(layer, "q_norm"), shared)
        k = self._positioned(k, heads.keys, layer_tensor(layer, "k_norm"), shared)
        v = pieces.flat(v, heads.keys * heads.size)
        return pieces.column(attend(q, k, v, caches, shared.rows, heads, config.windows[layer]))

    def _positioned(self, x: Value, heads: int, norm: str, shared: Shared) -> ov.Node:
        size = self._config.head_size
        x = pieces.by_head(x, heads, size)
        if self._config.qk_norm:
            x = self._norm(x, norm)
        return pieces.flat(pieces.rotate(x, shared.rope, size), heads * size)

    def _project(self, x: Value, layer: int, *parts: str) -> list[Value]:
        """`x` through one layer's projections that read it, adapters included."""
        products = {each: self._product(x, layer, each) for each in PRODUCTS if set(each) <= set(parts)}
        branch = next((self._branches[layer, part] for part in parts if (layer, part) in self._branches), None)
        if branch is not None:
            a, b = low_rank.weights(branch)
            self._parameters += [a, b]
            changes = zip(branch.products, low_rank.changes(x, branch, a, b, self._groups), strict=True)
            products |= {each: op.add(products[each], change) for each, change in changes}
        return [value for each, product in products.items() for value in self._parts(product, layer, each)]

    def _product(self, x: Value, layer: int, parts: tuple[str, ...]) -> Value:
        names = [layer_tensor(layer, part) for part in parts]
        return pieces.linear(x, pieces.weight(self._weights[names[0]].result()), self._bias(names))

    def _parts(self, product: Value, layer: int, parts: tuple[str, ...]) -> list[Value]:
        if len(parts) == 1:
            return [product]
        return [*pieces.split(product, [self._tensors[layer_tensor(layer, part)].shape[0] for part in parts])]

    def _bias(self, names: list[str]) -> NDArray[np.float32] | None:
        """The projections' biases in a row, zero where one has none; None when none has one."""
        biases = [self._tensors.get(f"{name}.bias") for name in names]
        if not any(biases):
            return None
        sizes = [self._tensors[name].shape[0] for name in names]
        return np.concatenate(
            [np.zeros(n, np.float32) if b is None else b.float32() for b, n in zip(biases, sizes, strict=True)]
        )

    def _norm(self, x: Value, name: str) -> ov.Node:
        return pieces.rms_norm(x, self._tensors[name].float32(), self._config.norm_epsilon)

    def _input(self, name: str, shape: Sequence[int] = (-1,), dtype: ov.Type = ov.Type.i64) -> ov.Node:
        node = parameter(name, list(shape), dtype)
        self._parameters.append(node)
        return node
