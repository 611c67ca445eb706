"""What a child loads by default: options in, the model room's `StepModel` and the grammars' `Vocabulary` out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.engine.options import EngineOptions
    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.sampling.grammar import Vocabulary


def load_model(options: EngineOptions) -> StepModel:
    """The model at `options.model`; `ModelError` says what is wrong with it."""
    from friendli_endpoint.model import ModelOptions, load  # heavy: only the child that needs it pays

    return load(
        Path(options.model),
        ModelOptions(
            weights=options.weights,
            kv=options.kv,
            threads=options.threads,
            kv_tokens=options.kv_tokens,
            adapters=options.adapters,
            spool=Path(options.spool) if options.spool else None,
        ),
    )


def load_vocabulary(options: EngineOptions) -> Vocabulary:
    """What each token of the model at `options.model` adds to a text."""
    from friendli_endpoint.sampling.grammar import Vocabulary
    from friendli_endpoint.text import load_tokenizer

    tokenizer = load_tokenizer(Path(options.model))
    return Vocabulary(
        tokens=tuple(map(tokenizer.token_bytes, range(tokenizer.vocab_size))),
        special=frozenset(token for token, special in tokenizer.added.items() if special),
        eos_tokens=tokenizer.eos_tokens,
    )


def find_loader(name: str) -> Callable[[EngineOptions], StepModel]:
    """The function called "module:name" that gives a model."""
    return cast("Callable[[EngineOptions], StepModel]", _find(name))


def find_vocabulary(name: str) -> Callable[[EngineOptions], Vocabulary]:
    """The function called "module:name" that gives a vocabulary."""
    return cast("Callable[[EngineOptions], Vocabulary]", _find(name))


def _find(name: str) -> object:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)
