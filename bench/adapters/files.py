"""Adapters with random weights, as GGUF LoRA files: both engines read the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RANK = 8
ALPHA = 16.0
SPREAD = 1 / 20  # large enough that hardly a text is as the base model's
PROJECTIONS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def write_adapters(model: Path, folder: Path, count: int) -> dict[str, str]:
    """Name -> file of `count` adapters for the GGUF file `model`, of `RANK`, on all seven projections."""
    base = gguf.GGUFReader(model)
    architecture = base.fields["general.architecture"].contents()
    shapes = {
        tensor.name: (int(tensor.shape[0]), int(tensor.shape[1]))
        for tensor in base.tensors
        if tensor.name.removesuffix(".weight").rpartition(".")[2] in PROJECTIONS
    }
    made = {f"a{number}": folder / f"a{number}.gguf" for number in range(count)}
    for number, path in enumerate(made.values()):
        _write(path, architecture, dict(_tensors(shapes, number)))
    return {name: str(path) for name, path in made.items()}


def _tensors(shapes: dict[str, tuple[int, int]], seed: int) -> Iterator[tuple[str, NDArray[np.float16]]]:
    rng = np.random.default_rng(seed)
    for name, (inputs, outputs) in shapes.items():
        for side, shape in (("a", (RANK, inputs)), ("b", (outputs, RANK))):
            values = rng.standard_normal(shape, np.float32) * SPREAD
            yield f"{name}.lora_{side}", values.astype(np.float16)


def _write(path: Path, architecture: str, tensors: dict[str, NDArray[np.float16]]) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
