"""A Hugging Face model folder (config.json and safetensors) as a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.safetensors_file import read_json, read_weights
from friendli_endpoint.model.architectures import MOST_HEAD_SIZE, MOST_LAYERS, architecture, check
from friendli_endpoint.model.checkpoint import Checkpoint
from friendli_endpoint.model.config import ModelConfig
from friendli_endpoint.model.fields import Fields
from friendli_endpoint.model.names import HUGGING_FACE
from friendli_endpoint.model.rope import Rope, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from friendli_endpoint.files.stored import StoredTensor

CONFIG = "config.json"
IGNORED = "rotary_emb.inv_freq"  # old files carry what the config says anyway
SLIDING, FULL = "sliding_attention", "full_attention"


def read_folder(folder: Path) -> Checkpoint:
    """Facts and tensors of a model folder; ModelError when it cannot be served."""
    if not (folder / CONFIG).exists():
        raise ModelError(f"{folder} is no model folder: it has no {CONFIG}")
    config = _config(folder, Fields(CONFIG, read_json(folder / CONFIG)))
    tensors = _renamed(read_weights(folder), folder.name)
    if config.tied:
        tensors.pop("head", None)  # a copy of the embedding that some files carry
    check(config, tensors)
    return Checkpoint(config, tensors)


def model_name(folder: Path) -> str:
    """The folder's name; of a snapshot in the hub's cache, the model's id."""
    if folder.parent.name == "snapshots":
        return folder.parents[1].name.removeprefix("models--").replace("--", "/")
    return folder.resolve().name


def _renamed(stored: Mapping[str, StoredTensor], source: str) -> dict[str, StoredTensor]:
    tensors = {}
    for name, tensor in stored.items():
        if (ours := HUGGING_FACE.translate(name)) is not None:
            tensors[ours] = tensor
        elif not name.endswith(IGNORED):
            raise ModelError(f"{source}: tensor {name!r} is of no architecture that is supported")
    return tensors


def _config(folder: Path, fields: Fields) -> ModelConfig:
    kind = fields.text("model_type")
    known = architecture(kind, fields.source)
    _refuse_unsupported(fields)
    layers, hidden = fields.size("num_hidden_layers", most=MOST_LAYERS), fields.size("hidden_size")
    heads = fields.size("num_attention_heads")
    head_size = fields.size("head_dim", max(1, hidden // heads), most=MOST_HEAD_SIZE)
    context_length = fields.size("max_position_embeddings")
    return ModelConfig(
        name=model_name(folder),
        architecture=kind,
        layers=layers,
        hidden=hidden,
        feed_forward=fields.size("intermediate_size"),
        heads=heads,
        kv_heads=fields.size("num_key_value_heads", heads),
        head_size=head_size,
        vocab_size=fields.size("vocab_size"),
        context_length=context_length,
        norm_epsilon=fields.number("rms_norm_eps", 1e-6),
        rope=_rope(fields, head_size, context_length),
        windows=_windows(fields, kind, layers),
        tied=fields.flag("tie_word_embeddings", default=False),
        qk_norm=known.qk_norm,
        biases=known.biases.union(*(parts for key, parts in known.optional_biases if fields.flag(key, default=False))),
    )


def _refuse_unsupported(fields: Fields) -> None:
    if fields.has("quantization_config"):
        raise ModelError(
            f"{fields.source}: a quantization_config is not supported; use the unquantised model or a GGUF file"
        )
    if (activation := fields.text("hidden_act", "silu")) != "silu":
        raise ModelError(f"{fields.source}: hidden_act {activation!r} is not supported; supported is silu")


def _rope(fields: Fields, head_size: int, context_length: int) -> Rope:
    """From `rope_parameters`, or from `rope_scaling` and `rope_theta` as older configs have them."""
    given = fields.values.get("rope_parameters") or fields.values.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise ModelError(f"{fields.source}: rope_scaling must be an object")
    rope = Fields(f"{fields.source}: rope_parameters", given)
    if fields.number("partial_rotary_factor", rope.number("partial_rotary_factor", 1.0)) != 1.0:
        raise ModelError(f"{fields.source}: partial_rotary_factor is not supported")
    base = rope.number("rope_theta", fields.number("rope_theta", 10000.0))
    return scaled(rope.text("rope_type", rope.text("type", "default")), rope, base, head_size, context_length)


def _windows(fields: Fields, kind: str, layers: int) -> tuple[int, ...]:
    """How many tokens each layer sees; mistral slides whenever a window is named, qwen when it is switched on."""
    if kind == "llama" or not fields.has("sliding_window"):
        return (0,) * layers
    window = fields.size("sliding_window")
    if kind == "mistral":
        return (window,) * layers
    if not fields.flag("use_sliding_window", default=False):
        return (0,) * layers
    return tuple(window if kind == SLIDING else 0 for kind in _layer_types(fields, layers))


def _layer_types(fields: Fields, layers: int) -> list[str]:
    types = fields.values.get("layer_types")
    if types is None:
        first = fields.size("max_window_layers", layers)
        return [FULL if layer < first else SLIDING for layer in range(layers)]
    if not isinstance(types, list) or len(types) != layers or not set(types) <= {SLIDING, FULL}:
        raise ModelError(f"{fields.source}: layer_types must name {SLIDING} or {FULL} for each of {layers} layers")
    return types
