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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.checkpoint import Checkpoint

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
    return _first_that_runs(path, checkpoint, options)


def _first_that_runs(path: Path, checkpoint: Checkpoint, options: ModelOptions) -> StepModel:
    threads = options.threads or len(os.sched_getaffinity(0))
    core, graph = ov.Core(), build(checkpoint, options.weights, threads)
    weight_bytes = sum(tensor.count for tensor in checkpoint.tensors.values()) * (2 if options.weights == "f16" else 1)
    failures = []
    for precision in KV_PRECISIONS if options.kv == "auto" else (options.kv,):
        settings = _settings(options, precision)

        def compile_with(branches: Sequence[Branch], settings: Mapping[str, object] = settings) -> ov.CompiledModel:
            # The weights are read again: what the first graph was built from need not stay in memory for this.
            return core.compile_model(build(_open(path), options.weights, threads, branches), "CPU", settings)

        try:
            model = PagedModel(
                core.compile_model(graph, "CPU", settings), checkpoint.config, options, compile_with, weight_bytes
            )
            model.warm_up()
        except RuntimeError as error:
            failures.append(error)
        else:
            return model
    reason = next((line for line in reversed(str(failures[-1]).splitlines()) if line.strip()), "no reason given")
    raise EngineError(f"OpenVINO cannot run {checkpoint.config.name} on this processor: {reason}") from failures[-1]


def _settings(options: ModelOptions, kv_precision: str) -> dict[str, object]:
    # Without a number of threads the plugin takes one for each physical core that the process may use.
    threads = {} if options.threads is None else {"INFERENCE_NUM_THREADS": options.threads}
    return {
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": kv_precision,
        **threads,
    }


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
