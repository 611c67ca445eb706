"""LoRA adapters with random weights for a model of `random_model`, as peft and as llama.cpp's converter write them.

The same arguments give the same values in both formats.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypeAlias

import gguf
import numpy as np
from safetensors.numpy import save

from random_model import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Matrices: TypeAlias = "dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]"
DType: TypeAlias = Literal["F32", "F16", "BF16"]
Kind = gguf.GGMLQuantizationType

# Our name of a projection -> Hugging Face's and GGUF's, and the sizes of its outputs and inputs.
PARTS = {
    "q": ("self_attn.q_proj", "attn_q", "queries", "hidden"),
    "k": ("self_attn.k_proj", "attn_k", "keys", "hidden"),
    "v": ("self_attn.v_proj", "attn_v", "keys", "hidden"),
    "o": ("self_attn.o_proj", "attn_output", "hidden", "queries"),
    "gate": ("mlp.gate_proj", "ffn_gate", "inner", "hidden"),
    "up": ("mlp.up_proj", "ffn_up", "inner", "hidden"),
    "down": ("mlp.down_proj", "ffn_down", "hidden", "inner"),
}
ALL = tuple(PARTS)


def matrices(
    config: Mapping[str, object] = CONFIG,
    *,
    rank: int = 8,
    targets: Iterable[str] = ALL,
    seed: int = 0,
    spread: float = 1 / 8,
) -> Matrices:
    """`layers.<i>.<part>` -> A [rank, inputs] and B [outputs, rank], normal values of deviation `spread`, unscaled.

    They are exact in every 16-bit type when `spread` is a power of two.
    """
    rng, sizes = np.random.default_rng(seed), _sizes(config)

    def values(*shape: int) -> NDArray[np.float32]:
        steps = np.clip(np.rint(rng.standard_normal(shape) * 32), -127, 127)
        return (steps * (spread / 32)).astype(np.float32)

    shapes = {part: (sizes[PARTS[part][2]], sizes[PARTS[part][3]]) for part in targets}
    return {
        f"layers.{layer}.{part}": (values(rank, inputs), values(outputs, rank))
        for layer in range(sizes["layers"])
        for part, (outputs, inputs) in shapes.items()
    }


def write_peft(
    folder: Path,
    config: Mapping[str, object] = CONFIG,
    *,
    rank: int = 8,
    targets: Iterable[str] = ALL,
    seed: int = 0,
    spread: float = 1 / 8,
    dtype: DType = "F32",
    **fields: object,
) -> Path:
    """An adapter folder as `save_pretrained` leaves it; `fields` go into adapter_config.json. Returns `folder`."""
    targets = tuple(targets)
    return write_peft_tensors(
        folder,
        peft_tensors(matrices(config, rank=rank, targets=targets, seed=seed, spread=spread)),
        dtype,
        **{"r": rank, "target_modules": [PARTS[part][0].rpartition(".")[2] for part in targets]} | fields,
    )


def peft_tensors(values: Matrices) -> dict[str, NDArray[np.float32]]:
    """The matrices under the names that peft saves them with."""
    tensors = {}
    for name, (a, b) in values.items():
        _, layer, part = name.split(".")
        stem = f"base_model.model.model.layers.{layer}.{PARTS[part][0]}"
        tensors |= {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}
    return tensors


def write_peft_tensors(
    folder: Path, tensors: Mapping[str, NDArray[np.float32]], dtype: DType = "F32", **fields: object
) -> Path:
    """Any tensors, with the config of a plain adapter changed by `fields`; `r` is 8 and `lora_alpha` 16 without."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "bias": "none"} | fields
    (folder / "adapter_config.json").write_text(json.dumps(config))
    stored = {name: _encoded(values, dtype).copy(order="C") for name, values in tensors.items()}
    data = save(stored, {"format": "pt"})
    (folder / "adapter_model.safetensors").write_bytes(_renamed(data, b'"U16"', b'"BF16"'))
    return folder


def write_gguf(
    path: Path,
    config: Mapping[str, object] = CONFIG,
    *,
    rank: int = 8,
    targets: Iterable[str] = ALL,
    seed: int = 0,
    spread: float = 1 / 8,
    alpha: float = 16.0,
    kind: Kind = Kind.F32,
) -> Path:
    """An adapter file as llama.cpp's converter writes it: of type `kind`, and F16 where rows are too short for it."""
    values = matrices(config, rank=rank, targets=targets, seed=seed, spread=spread)
    return write_gguf_tensors(path, gguf_tensors(values, config), alpha=alpha, kind=kind)


def gguf_tensors(values: Matrices, config: Mapping[str, object] = CONFIG) -> dict[str, NDArray[np.float32]]:
    """The matrices under their names in GGUF; llama's q and k with each head's halves as neighbouring pairs."""
    tensors, heads = {}, {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    for name, (a, b) in values.items():
        _, layer, part = name.split(".")
        if part in heads and config["model_type"] in {"llama", "mistral"}:
            b = b.reshape(heads[part], 2, -1, b.shape[1]).swapaxes(1, 2).reshape(b.shape)
        stem = f"blk.{layer}.{PARTS[part][1]}.weight"
        tensors |= {f"{stem}.lora_a": a, f"{stem}.lora_b": np.ascontiguousarray(b)}
    return tensors


def write_gguf_tensors(
    path: Path,
    tensors: Mapping[str, NDArray[np.float32]],
    *,
    alpha: float | None = 16.0,
    kind: Kind = Kind.F32,
    architecture: str = "llama",
    **facts: str,
) -> Path:
    """Any tensors, with a plain adapter's metadata; `facts` are texts that change or add some. Returns `path`."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in ({"general_type": "adapter", "adapter_type": "lora"} | facts).items():
        writer.add_string(key.replace("_", ".", 1), value)
    if alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    for name, values in tensors.items():
        fits = kind if values.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] == 0 else Kind.F16
        writer.add_tensor(name, gguf.quantize(values, fits), raw_dtype=fits)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _encoded(values: NDArray[np.float32], dtype: DType) -> NDArray[np.generic]:
    if dtype == "BF16":  # numpy has no such type: the upper half of a float32
        return (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16)
    return values.astype({"F32": np.float32, "F16": np.float16}[dtype])


def _renamed(data: bytes, theirs: bytes, ours: bytes) -> bytes:
    """A safetensors file with one type in its header called another."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = data[8:start].replace(theirs, ours)
    return len(header).to_bytes(8, "little") + header + data[start:]


def _sizes(config: Mapping[str, object]) -> dict[str, int]:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_size = config.get("head_dim") or hidden // heads
    return {
        "layers": config["num_hidden_layers"],
        "hidden": hidden,
        "inner": config["intermediate_size"],
        "queries": heads * head_size,
        "keys": config["num_key_value_heads"] * head_size,
    }
