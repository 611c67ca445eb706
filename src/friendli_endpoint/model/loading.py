"""A path -> facts, or a model that runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import openvino as ov

from friendli_endpoint.errors import EngineError, ModelError
from friendli_endpoint.model.config import ModelFacts, ModelOptions
from friendli_endpoint.model.decoder import build
from friendli_endpoint.model.from_folder import read_folder
from friendli_endpoint.model.from_gguf import read_gguf
from friendli_endpoint.model.quantise import check_groups
from friendli_endpoint.model.runner import PagedModel

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.model.checkpoint import Checkpoint
    from friendli_endpoint.model.config import ModelConfig

# KV in 16 bits: with the plugin's own 8, tokens would depend on how a prompt is cut. Not every processor has 16-bit KV.
KV_PRECISIONS = ("f16", "f32")


def inspect(path: Path) -> ModelFacts:
    """What a model is, from its headers alone; ModelError when it cannot be served."""
    return _facts(_open(path))


def load(path: Path, options: ModelOptions | None = None) -> StepModel:
    """A model ready for its first forward; ModelError when it cannot be served, EngineError when not here."""
    options = options or ModelOptions()
    checkpoint = _open(path)
    for tensor in checkpoint.tensors.values():
        check_groups(tensor, options.weights)
    graph = build(checkpoint, options.weights, options.threads or len(os.sched_getaffinity(0)))
    return _first_that_runs(graph, checkpoint.config, options)


def _first_that_runs(graph: ov.Model, config: ModelConfig, options: ModelOptions) -> StepModel:
    # Without a number of threads the plugin takes one for each physical core that the process may use.
    threads = {} if options.threads is None else {"INFERENCE_NUM_THREADS": options.threads}
    settings = {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32", **threads}
    failures = []
    for precision in KV_PRECISIONS if options.kv == "auto" else (options.kv,):
        try:
            compiled = ov.Core().compile_model(graph, "CPU", settings | {"KV_CACHE_PRECISION": precision})
            model = PagedModel(compiled, config, options)
            model.warm_up()
        except RuntimeError as error:
            failures.append(error)
        else:
            return model
    reason = next((line for line in reversed(str(failures[-1]).splitlines()) if line.strip()), "no reason given")
    raise EngineError(f"OpenVINO cannot run {config.name} on this processor: {reason}") from failures[-1]


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
