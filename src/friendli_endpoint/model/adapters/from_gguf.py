"""A GGUF LoRA file, as llama.cpp's converter writes it, as an adapter."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.files.gguf_file import read_file
from friendli_endpoint.model.adapters.adapter import StoredPair, assemble, check_place, pair_up
from friendli_endpoint.model.from_gguf import PERMUTED, permuted_rows
from friendli_endpoint.model.names import GGUF

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from friendli_endpoint.files.gguf_file import Value
    from friendli_endpoint.files.stored import StoredTensor
    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.config import ModelConfig

SIDES = {"lora_a": "A", "lora_b": "B"}
ALPHA = "adapter.lora.alpha"
KNOWN = {"adapter.type", ALPHA, "adapter.lora.task_name", "adapter.lora.prompt_prefix"}
ARCHITECTURES = {"mistral": "llama"}  # the format has one name for both; the others are called as here


def read_gguf(path: Path, config: ModelConfig) -> Adapter:
    """AdapterError when it cannot be served, ModelError when the file is broken."""
    file = read_file(path)
    kind = ARCHITECTURES.get(config.architecture, config.architecture)
    _check_kind(path.name, file.metadata, kind, config)
    alpha = _alpha(path.name, file.metadata)
    pairs = pair_up(path.name, _sides(path.name, file.tensors, config))
    scaled = {name: StoredPair(a, b, alpha / a.shape[0] if alpha else 1.0) for name, (a, b) in pairs.items()}
    return assemble(path.name, _unpermuted(scaled, config) if kind == PERMUTED else scaled, config)


def _check_kind(source: str, metadata: Mapping[str, Value], kind: str, config: ModelConfig) -> None:
    if (general := metadata.get("general.type", "model")) != "adapter":
        raise AdapterError(f"{source} is no adapter: its general.type is {general!r}, not 'adapter'")
    if (adapter := metadata.get("adapter.type")) != "lora":
        raise AdapterError(f"{source}: adapter.type {adapter!r} is not supported; supported is 'lora'")
    if unknown := [key for key in metadata if key.startswith("adapter.") and key not in KNOWN]:
        raise AdapterError(f"{source}: {unknown[0]} is not supported; supported are plain LoRA adapters")
    if (found := metadata.get("general.architecture")) != kind:
        raise AdapterError(f"{source} is an adapter for architecture {found!r}; that of {config.name} is {kind!r}")


def _alpha(source: str, metadata: Mapping[str, Value]) -> float:
    """0 stands for no scaling, as does a file that does not say it."""
    alpha = metadata.get(ALPHA, 0.0)
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not isfinite(alpha) or alpha < 0:
        raise AdapterError(f"{source}: {ALPHA} must be a number of at least 0")
    return float(alpha)


def _sides(
    source: str, tensors: Mapping[str, StoredTensor], config: ModelConfig
) -> dict[tuple[str, str], StoredTensor]:
    sides: dict[tuple[str, str], StoredTensor] = {}
    for key, tensor in tensors.items():
        stem, _, leaf = key.rpartition(".")
        name = check_place(source, GGUF.translate(stem) if leaf in SIDES else None, key, config)
        if (name, SIDES[leaf]) in sides:
            raise AdapterError(f"{source}: tensor {key!r} is there twice")
        sides[name, SIDES[leaf]] = tensor
    return sides


def _unpermuted(pairs: Mapping[str, StoredPair], config: ModelConfig) -> dict[str, StoredPair]:
    rows = permuted_rows(config)
    orders = {name: rows.get(name.rpartition(".")[2]) for name in pairs}
    return {
        name: pair if (order := orders[name]) is None else replace(pair, b=pair.b.reordered(order))
        for name, pair in pairs.items()
    }
