"""Lists the public surface, one line per name: `python tests/sdk/public_surface.py > tests/sdk/public_surface.txt`.

The committed list is compared by a test, so that no change of the surface goes unnoticed.
"""

from __future__ import annotations

import inspect
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, is_typeddict

from pydantic import BaseModel

from friendli._settings import CallOptions, ClientOptions
from friendli.completions import AsyncCompletions, FriendliCompletions, SyncCompletions

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = ("friendli", "hooks", "models", "raw", "telemetry", "testing", "utils")
UNEXPORTED = (SyncCompletions, AsyncCompletions, FriendliCompletions, ClientOptions, CallOptions)


def lines() -> Iterator[str]:
    for name in MODULES:
        module = import_module("friendli" if name == "friendli" else f"friendli.{name}")
        yield from (line for public in module.__all__ for line in told(f"{name}.{public}", getattr(module, public)))
    errors = import_module("friendli.errors")
    yield from (f"errors.{name}" for name, kind in sorted(vars(errors).items()) if is_error(kind))
    yield from (line for kind in UNEXPORTED for line in told(kind.__name__, kind))


def is_error(kind: object) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Exception) and not kind.__name__.startswith("_")


def told(name: str, thing: object) -> Iterator[str]:
    """The name with its parameters, and what belongs to it."""
    if inspect.isfunction(thing):
        yield f"{name}{parameters(thing)}"
    elif is_typeddict(thing):
        yield f"{name}: {', '.join(thing.__annotations__)}"
    elif inspect.isclass(thing):
        yield f"{name}{made_of(thing)}"
        yield from (f"{name}.{line}" for line in members(thing))
    elif not inspect.ismodule(thing):
        yield name


def made_of(kind: type) -> str:
    if issubclass(kind, BaseModel):
        return f": {', '.join(kind.model_fields)}"
    return "" if issubclass(kind, Enum) else parameters(kind)


def members(kind: type) -> Iterator[str]:
    foreign = {name for base in kind.__mro__ if not base.__module__.startswith("friendli") for name in vars(base)}
    for name in sorted(name for name in dir(kind) if not name.startswith("_") and name not in foreign):
        value = inspect.getattr_static(kind, name)
        yield f"{name}{parameters(value)}" if inspect.isfunction(value) else name


def parameters(thing: object) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    shown = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))


if __name__ == "__main__":
    print("\n".join(lines()))
