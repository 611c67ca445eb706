"""An adapter folder, as peft's `save_pretrained` leaves it, as an adapter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.files.safetensors_file import read_file, read_json
from friendli_endpoint.model.adapters.adapter import StoredPair, assemble, check_place, pair_up
from friendli_endpoint.model.adapters.peft_config import read_scaling
from friendli_endpoint.model.names import HUGGING_FACE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from friendli_endpoint.files.stored import StoredTensor
    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.config import ModelConfig

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
WRAPPER = "base_model.model."
# Old versions of peft leave the adapter's name between the side and the leaf.
TENSOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.[^.]+)?\.weight")
# What a tensor's name can say that it is for, and what that is called.
UNSUPPORTED = {
    "lora_magnitude_vector": "DoRA",
    "lora_embedding_": "a change of the embedding or the head",
    ".bias": "a bias",
    "modules_to_save": "a whole trained module (modules_to_save)",
    "trainable_tokens": "trained tokens (trainable_token_indices)",
}


def read_peft(folder: Path, config: ModelConfig) -> Adapter:
    """AdapterError when it cannot be served, ModelError when a file of it is broken."""
    _check_files(folder)
    fields = read_json(folder / CONFIG)
    tensors = read_file(folder / WEIGHTS)
    scaling = read_scaling(CONFIG, fields, modules=len(tensors))
    modules: dict[str, str] = {}
    pairs = pair_up(WEIGHTS, _sides(tensors, config, modules))
    scaled = {
        name: StoredPair(a, b, scaling.scale(modules[name], a.name, a.shape[0])) for name, (a, b) in pairs.items()
    }
    return assemble(WEIGHTS, scaled, config)


def _check_files(folder: Path) -> None:
    if not (folder / CONFIG).exists():
        if (folder / "config.json").exists():
            raise AdapterError(f"{folder} is a whole model, not an adapter: it has config.json and no {CONFIG}")
        raise AdapterError(f"{folder} is no adapter folder: it has no {CONFIG}")
    if (folder / WEIGHTS).exists():
        return
    if (folder / PICKLE).exists():
        raise AdapterError(
            f"{folder} has its weights in {PICKLE}, a pickle, which can run any code when it is read; "
            f"save the adapter as safetensors ({WEIGHTS})"
        )
    raise AdapterError(f"{folder} has no {WEIGHTS}")


def _sides(
    tensors: Mapping[str, StoredTensor], config: ModelConfig, modules: dict[str, str]
) -> dict[tuple[str, str], StoredTensor]:
    """Tensors by our name and side; `modules` gets the name that the patterns of the config know each by."""
    sides: dict[tuple[str, str], StoredTensor] = {}
    for key, tensor in tensors.items():
        if (found := TENSOR.fullmatch(key)) is None:
            raise _unsupported(key)
        module, side = found["module"].removeprefix(WRAPPER), found["side"]
        name = check_place(WEIGHTS, _translated(module), key, config)
        if (name, side) in sides:
            raise AdapterError(f"{WEIGHTS}: tensor {key!r} is there twice, under different names")
        sides[name, side] = tensor
        modules[name] = module
    return sides


def _translated(module: str) -> str | None:
    """An adapter that was trained on the bare decoder has names without the `model.` in front."""
    return HUGGING_FACE.translate(f"{module}.weight") or HUGGING_FACE.translate(f"model.{module}.weight")


def _unsupported(key: str) -> AdapterError:
    for mark, kind in UNSUPPORTED.items():
        if mark in key:
            return AdapterError(f"{WEIGHTS}: tensor {key!r} is for {kind}, which is not supported")
    return AdapterError(f"{WEIGHTS}: tensor {key!r} is no LoRA tensor; whole weights are not supported")
