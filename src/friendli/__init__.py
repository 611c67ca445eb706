"""The Friendli client.

Everything is loaded when it is first used, so that a program pays only for what it touches.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli import errors, hooks, models, utils
    from friendli.errors import SDKError
    from friendli.raw import RawResponse
    from friendli.sdk import AsyncFriendli, Friendli, SyncFriendli
    from friendli.streams import AsyncCompletionStream, CompletionStream

    __version__: str

__all__ = [
    "AsyncCompletionStream",
    "AsyncFriendli",
    "CompletionStream",
    "Friendli",
    "RawResponse",
    "SDKError",
    "SyncFriendli",
    "errors",
    "hooks",
    "models",
    "utils",
]

_MODULES = frozenset({"errors", "hooks", "models", "utils"})
_HOMES = {
    "AsyncCompletionStream": "streams",
    "AsyncFriendli": "sdk",
    "CompletionStream": "streams",
    "Friendli": "sdk",
    "RawResponse": "raw",
    "SDKError": "errors",
    "SyncFriendli": "sdk",
}


if not TYPE_CHECKING:  # or a name that does not exist would pass the type checkers

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from friendli._version import VERSION

            return VERSION
        if name in _MODULES:
            return import_module(f"friendli.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'friendli' has no attribute {name!r}")
        value: object = getattr(import_module(f"friendli.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
