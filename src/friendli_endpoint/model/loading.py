"""A path -> facts, or a model that runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import openvino as ov

from friendli_endpoint.errors import ModelError
from friendli_endpoint.model.config import ModelFacts, ModelOptions
from friendli_endpoint.model.decoder import build
from friendli_endpoint.model.from_folder import read_folder
from friendli_endpoint.model.from_gguf import read_gguf
from friendli_endpoint.model.quantise import check_groups
from friendli_endpoint.model.runner import PagedModel

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.model.stored import Checkpoint

# Activations stay in float32 and KV in 16 bits: with the plugin's 8-bit default, tokens depend on how a prompt is cut.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f16"}


def inspect(path: Path) -> ModelFacts:
    """What a model is, from its headers alone; ModelError when it cannot be served."""
    return _facts(_open(path))


def load(path: Path, options: ModelOptions | None = None) -> StepModel:
    """A model ready for its first forward; ModelError when it cannot be served."""
    options = options or ModelOptions()
    checkpoint = _open(path)
    for tensor in checkpoint.tensors.values():
        check_groups(tensor, options.weights)
    threads = options.threads or len(os.sched_getaffinity(0))
    graph = build(checkpoint, options.weights, threads)
    settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, **PRECISION}
    return PagedModel(ov.Core().compile_model(graph, "CPU", settings), checkpoint.config, options)


def _open(path: Path) -> Checkpoint:
    if not path.exists():
        raise ModelError(f"there is no model at {path}")
    return read_folder(path) if path.is_dir() else read_gguf(path)


def _facts(checkpoint: Checkpoint) -> ModelFacts:
    config, tensors = checkpoint.config, checkpoint.tensors.values()
    return ModelFacts(
        name=config.name,
        architecture=config.architecture,
        vocab_size=config.vocab_size,
        context_length=config.context_length,
        layers=config.layers,
        parameters=sum(tensor.count for tensor in tensors),
        file_types=tuple(sorted({tensor.kind.name for tensor in tensors})),
    )
