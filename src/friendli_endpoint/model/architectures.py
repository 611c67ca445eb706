"""The architectures that can be served, and which tensors of which shapes each of them must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from friendli_endpoint.errors import ModelError
from friendli_endpoint.model.names import PROJECTIONS, layer_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli_endpoint.files.stored import StoredTensor
    from friendli_endpoint.model.config import ModelConfig

# Bounds that keep a broken header from asking for absurd amounts of work; no model comes near.
MOST_LAYERS, MOST_HEAD_SIZE = 1000, 4096


@dataclass(frozen=True, slots=True)
class Architecture:
    """What sets one decoder apart from the others; they all have RMS norms, rotary positions and a gated SiLU.

    `biases` are always there; `optional_biases` are the switches of config.json and what they add.
    """

    qk_norm: bool = False
    biases: frozenset[str] = frozenset()
    optional_biases: tuple[tuple[str, frozenset[str]], ...] = ()


_ATTENTION = ("attention_bias", frozenset("qkvo"))
_FEED_FORWARD = ("mlp_bias", frozenset({"gate", "up", "down"}))

ARCHITECTURES = {
    "llama": Architecture(optional_biases=(_ATTENTION, _FEED_FORWARD)),
    "mistral": Architecture(),
    "qwen2": Architecture(biases=frozenset("qkv")),
    "qwen3": Architecture(qk_norm=True, optional_biases=(_ATTENTION,)),
}


def architecture(name: str, source: str) -> Architecture:
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"{source}: architecture {name!r} is not supported; supported are {known}")
    return ARCHITECTURES[name]


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that a model of this config has, by name."""
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (config.vocab_size, config.hidden),
        "final_norm": (config.hidden,),
    }
    if not config.tied:
        shapes["head"] = (config.vocab_size, config.hidden)
    parts = _layer_shapes(config)
    return shapes | {layer_tensor(i, part): shape for i in range(config.layers) for part, shape in parts.items()}


def _layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    outputs = dict(
        zip(PROJECTIONS, (queries, keys, keys, config.hidden, *[config.feed_forward] * 2, config.hidden), strict=True)
    )
    inputs = {"o": queries, "down": config.feed_forward}
    shapes: dict[str, tuple[int, ...]] = {part: (out, inputs.get(part, config.hidden)) for part, out in outputs.items()}
    shapes |= {f"{part}.bias": (outputs[part],) for part in sorted(config.biases)}
    shapes |= {"attention_norm": (config.hidden,), "feed_forward_norm": (config.hidden,)}
    if config.qk_norm:
        shapes |= {"q_norm": (config.head_size,), "k_norm": (config.head_size,)}
    return shapes


def check(config: ModelConfig, tensors: Mapping[str, StoredTensor]) -> None:
    """ModelError unless the sizes fit together and the tensors are exactly those of the architecture."""
    _check_sizes(config)
    expected = expected_shapes(config)
    for name, shape in expected.items():
        if name not in tensors:
            raise ModelError(f"{config.name}: tensor {name!r} is missing")
        if (found := tensors[name].shape) != shape:
            raise ModelError(f"{config.name}: tensor {name!r} has shape {list(found)}, where {list(shape)} is needed")
    if unknown := [name for name in tensors if name not in expected]:
        raise ModelError(f"{config.name}: tensor {unknown[0]!r} has no place in the {config.architecture} architecture")


def _check_sizes(config: ModelConfig) -> None:
    if config.heads % config.kv_heads:
        raise ModelError(f"{config.name}: {config.heads} heads cannot share {config.kv_heads} key-value heads evenly")
    if config.head_size % 2:
        raise ModelError(f"{config.name}: a head size of {config.head_size} is odd, so it cannot hold rotary pairs")
