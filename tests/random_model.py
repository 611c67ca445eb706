"""A llama with random weights as a Hugging Face folder, made without the reference environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

CONFIG: dict[str, object] = {
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "tie_word_embeddings": True,
}


def write_folder(
    folder: Path,
    spread: Mapping[str, float] | None = None,
    values: Mapping[str, NDArray[np.float32]] | None = None,
    **changes: object,
) -> Path:
    """`changes` are made to CONFIG; its sizes decide the tensors, unless their `values` are given. Returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG | changes
    (folder / "config.json").write_text(json.dumps(config))
    save_file(dict(values or weights(config, spread)), folder / "model.safetensors")
    return folder


def weights(config: dict, spread: Mapping[str, float] | None = None) -> dict[str, NDArray[np.float32]]:
    """Normal values, exact in 16 bits; `spread` has the deviation of matrices by the last part of their name."""
    rng = np.random.default_rng(5)
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    keys = hidden // heads * config["num_key_value_heads"]
    shapes = {"model.embed_tokens": (config["vocab_size"], hidden), "model.norm": (hidden,)}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        shapes |= {layer + "input_layernorm": (hidden,), layer + "post_attention_layernorm": (hidden,)}
        shapes |= {f"{layer}self_attn.{p}_proj": (hidden if p in "qo" else keys, hidden) for p in "qkvo"}
        shapes |= {f"{layer}mlp.{p}_proj": (inner, hidden) for p in ("gate", "up")}
        shapes[layer + "mlp.down_proj"] = (hidden, inner)
    if not config["tie_word_embeddings"]:
        shapes["lm_head"] = (config["vocab_size"], hidden)
    deviations = {name: (spread or {}).get(name.rpartition(".")[2], 1 / 8) for name in shapes}
    normal = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    values = {name: 1 + v / 4 if v.ndim == 1 else v * deviations[name] for name, v in normal.items()}
    return {f"{name}.weight": v.astype(np.float16).astype(np.float32) for name, v in values.items()}
