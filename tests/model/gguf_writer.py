"""Writes a small Hugging Face model folder as a GGUF file, laid out as llama.cpp's converter does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

import gguf
import numpy as np
from safetensors.numpy import load_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

Encode: TypeAlias = "Callable[[NDArray[np.float32]], NDArray[np.generic]]"
Kind = gguf.GGMLQuantizationType
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


def write_gguf(folder: Path, path: Path, kind: Kind = Kind.F32, encode: Encode | None = None) -> None:
    """Matrices are stored as `kind` by `encode` (the gguf package's own without), everything else as F32."""
    encode = encode or (lambda matrix: gguf.quantize(matrix, kind))
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, ARCHITECTURES[config["model_type"]])
    _write_facts(writer, config)
    weights = {
        name: values for file in sorted(folder.glob("*.safetensors")) for name, values in load_file(file).items()
    }
    for name, values in weights.items():
        _write_tensor(writer, gguf_name(name), _permuted(name, values, config), kind, encode)
    if config["rope_parameters"]["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    stem, _, leaf = name.rpartition(".")
    if stem in TOP:
        return f"{TOP[stem]}.{leaf}"
    layer, _, part = stem.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{NAMES[part]}.{leaf}"


def llama3_factors(config: dict) -> NDArray[np.float32]:
    """What every rotary frequency is divided by."""
    rope, size = (
        config["rope_parameters"],
        config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
    )
    wavelengths = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, size, 2) / size)
    trained, factor = rope["original_max_position_embeddings"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((trained / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def _write_facts(writer: gguf.GGUFWriter, config: dict) -> None:
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_name("tiny")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_token_list([f"<{i}>" for i in range(config["vocab_size"])])
    _write_options(writer, config)


def _write_options(writer: gguf.GGUFWriter, config: dict) -> None:
    rope = config["rope_parameters"]
    if rope["rope_type"] in {"linear", "yarn"}:
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if config["model_type"] == "mistral" and config["sliding_window"]:
        writer.add_sliding_window(config["sliding_window"])


def _permuted(name: str, values: NDArray[np.float32], config: dict) -> NDArray[np.float32]:
    """llama's q and k: each head's two halves become neighbouring pairs."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    part = name.split(".")[-2]
    if part not in heads or ARCHITECTURES[config["model_type"]] != "llama":
        return values
    halves = values.reshape(heads[part], 2, values.shape[0] // heads[part] // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _write_tensor(writer: gguf.GGUFWriter, name: str, values: NDArray, kind: Kind, encode: Encode) -> None:
    if values.ndim == 1:
        writer.add_tensor(name, values)
    else:
        writer.add_tensor(name, encode(values), raw_dtype=kind)
