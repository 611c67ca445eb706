"""A GGUF file as a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.gguf_file import read_file
from friendli_endpoint.model.architectures import MOST_HEAD_SIZE, MOST_LAYERS, architecture, check
from friendli_endpoint.model.checkpoint import Checkpoint
from friendli_endpoint.model.config import ModelConfig
from friendli_endpoint.model.fields import Fields
from friendli_endpoint.model.names import GGUF, PROJECTIONS, layer_tensor
from friendli_endpoint.model.rope import Rope, plain, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from friendli_endpoint.files.stored import StoredTensor

ROPE_FACTORS = "rope_freqs.weight"
LEAVES = ("", ".bias")
PERMUTED = "llama"  # the only architecture whose q and k the format stores for interleaved rotation


def read_gguf(path: Path) -> Checkpoint:
    """Facts and tensors of a GGUF file; ModelError when it cannot be served."""
    file = read_file(path)
    fields = Fields(path.name, file.metadata)
    kind = fields.text("general.architecture")
    architecture(kind, path.name)
    stored = dict(file.tensors)
    factors = stored.pop(ROPE_FACTORS, None)
    tensors = _renamed(stored, path.name)
    config = _config(path.stem, kind, fields, tensors, factors)
    check(config, tensors)
    return Checkpoint(config, _unpermuted(tensors, config) if kind == PERMUTED else tensors)


def _renamed(stored: Mapping[str, StoredTensor], source: str) -> dict[str, StoredTensor]:
    tensors = {}
    for name, tensor in stored.items():
        if (ours := GGUF.translate(name)) is None:
            raise ModelError(f"{source}: tensor {name!r} is of no architecture that is supported")
        tensors[ours] = tensor
    return tensors


def _config(
    stem: str, kind: str, fields: Fields, tensors: Mapping[str, StoredTensor], factors: StoredTensor | None
) -> ModelConfig:
    for key in ("expert_count", "expert_used_count"):
        if fields.has(f"{kind}.{key}") and fields.values[f"{kind}.{key}"] != 0:
            raise ModelError(f"{fields.source}: mixtures of experts are not supported")
    if "embedding" not in tensors:
        raise ModelError(f"{fields.source}: tensor 'embedding' is missing")
    layers, hidden = fields.size(f"{kind}.block_count", most=MOST_LAYERS), fields.size(f"{kind}.embedding_length")
    heads = fields.size(f"{kind}.attention.head_count")
    head_size = fields.size(f"{kind}.attention.key_length", max(1, hidden // heads), most=MOST_HEAD_SIZE)
    context_length = fields.size(f"{kind}.context_length")
    window = f"{kind}.attention.sliding_window"
    return ModelConfig(
        name=fields.text("general.name", stem),
        architecture=kind,
        layers=layers,
        hidden=hidden,
        feed_forward=fields.size(f"{kind}.feed_forward_length"),
        heads=heads,
        kv_heads=fields.size(f"{kind}.attention.head_count_kv", heads),
        head_size=_one_head_size(fields, kind, head_size),
        vocab_size=tensors["embedding"].shape[0],
        context_length=context_length,
        norm_epsilon=fields.number(f"{kind}.attention.layer_norm_rms_epsilon"),
        rope=_rope(fields, kind, head_size, context_length, factors),
        windows=(fields.size(window) if fields.has(window) else 0,) * layers,
        tied="head" not in tensors,
        qk_norm=architecture(kind, fields.source).qk_norm,
        biases=architecture(kind, fields.source).biases
        | {part for part in PROJECTIONS if f"{layer_tensor(0, part)}.bias" in tensors},
    )


def _one_head_size(fields: Fields, kind: str, head_size: int) -> int:
    for key in ("attention.value_length", "rope.dimension_count"):
        if fields.size(f"{kind}.{key}", head_size) != head_size:
            raise ModelError(f"{fields.source}: {kind}.{key} must be the head size, {head_size}")
    return head_size


def _rope(fields: Fields, kind: str, head_size: int, context_length: int, factors: StoredTensor | None) -> Rope:
    base = fields.number(f"{kind}.rope.freq_base", 10000.0)
    if factors is not None:
        return _divided(plain(base, head_size), factors)
    scaling = fields.text(f"{kind}.rope.scaling.type", "none")
    if scaling == "none":
        return plain(base, head_size)
    keys = {"factor": "factor", "original_max_position_embeddings": "original_context_length"}
    values = {ours: fields.values.get(f"{kind}.rope.scaling.{theirs}") for ours, theirs in keys.items()}
    return scaled(scaling, Fields(fields.source, values), base, head_size, context_length)


def _divided(rope: Rope, factors: StoredTensor) -> Rope:
    if factors.shape != rope.frequencies.shape:
        raise ModelError(f"tensor {factors.name} has {factors.shape} factors, not {rope.frequencies.shape}")
    return Rope(rope.frequencies / factors.float32())


def permuted_rows(config: ModelConfig) -> dict[str, NDArray[np.intp]]:
    """Which stored row of q and k comes at each place: each head's channels from neighbouring pairs to two halves."""
    return {"q": _halves(config.heads, config.head_size), "k": _halves(config.kv_heads, config.head_size)}


def _unpermuted(tensors: Mapping[str, StoredTensor], config: ModelConfig) -> dict[str, StoredTensor]:
    orders = permuted_rows(config)
    names = {f"{layer_tensor(i, part)}{leaf}": part for i in range(config.layers) for part in orders for leaf in LEAVES}
    return {name: each.reordered(orders[names[name]]) if name in names else each for name, each in tensors.items()}


def _halves(heads: int, head_size: int) -> NDArray[np.intp]:
    rows = np.arange(heads * head_size, dtype=np.intp)
    return rows.reshape(heads, head_size // 2, 2).swapaxes(1, 2).reshape(-1)
