"""An endpoint in memory, for tests of programs that use this client.

    with Endpoint("Hello you", failure(503), default="Bye") as endpoint:
        ...  # every client talks to it, wherever it is made
    assert endpoint.requests[0].prompt == "Hi"

Everything is loaded when it is first used: pytest imports this package at its start, for the fixture.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli.testing.asked import Request
    from friendli.testing.choices import Choice, choice
    from friendli.testing.completions import completion
    from friendli.testing.endpoint import Endpoint
    from friendli.testing.errors import EndlessWaitError, UnscriptedRequestError, UnusedRepliesError
    from friendli.testing.replies import Reply, dropped, failure, raw, redirect, refused

__all__ = [
    "Choice",
    "EndlessWaitError",
    "Endpoint",
    "Reply",
    "Request",
    "UnscriptedRequestError",
    "UnusedRepliesError",
    "choice",
    "completion",
    "dropped",
    "failure",
    "raw",
    "redirect",
    "refused",
]

_HOMES = {
    "Choice": "choices",
    "EndlessWaitError": "errors",
    "Endpoint": "endpoint",
    "Reply": "replies",
    "Request": "asked",
    "UnscriptedRequestError": "errors",
    "UnusedRepliesError": "errors",
    "choice": "choices",
    "completion": "completions",
    "dropped": "replies",
    "failure": "replies",
    "raw": "replies",
    "redirect": "replies",
    "refused": "replies",
}


if not TYPE_CHECKING:  # or a name that does not exist would pass the type checkers

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'friendli.testing' has no attribute {name!r}")
        value: object = getattr(import_module(f"friendli.testing.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
