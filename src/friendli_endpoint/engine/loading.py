"""The default loader of a child: options in, the model room's `StepModel` out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.engine.options import EngineOptions
    from friendli_endpoint.engine.step_model import StepModel


def load_model(options: EngineOptions) -> StepModel:
    """The model at `options.model`; `ModelError` says what is wrong with it."""
    from friendli_endpoint.model import ModelOptions, load  # heavy: only the child that needs it pays

    return load(
        Path(options.model),
        ModelOptions(weights=options.weights, threads=options.threads, kv_tokens=options.kv_tokens),
    )


def find_loader(name: str) -> Callable[[EngineOptions], StepModel]:
    """The function called "module:name"."""
    module, _, function = name.partition(":")
    return cast("Callable[[EngineOptions], StepModel]", getattr(import_module(module), function))
