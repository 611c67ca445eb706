"""Every error that the endpoint raises on purpose.

EndpointError                  a sentence for a person: what is wrong and what would be right
├── ConfigError                settings: a flag, friendli.toml
├── ModelError                 a model file or folder that cannot be served
├── AdapterError               a LoRA adapter that cannot be served on this model
├── HubError                   a model that cannot be found or fetched
├── LedgerError                what was used cannot be kept or read now; the request is not at fault
├── RequestError               one request is wrong; carries the field and the HTTP status
└── EngineError                the engine failed or is gone; the request is not at fault
    ├── EngineFullError       no room now; carries when to come back, and of what there is none
    └── PoisonError           the request ends the engine whenever it is tried, so it is refused for a while
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Lack: TypeAlias = Literal["full", "team share", "team requests", "team rate", "team tokens", "queue", "patience"]
"""Of what there is no room: places in the server; the team's share of them, its own limits (requests at once, requests
and tokens a minute); a turn within the longest wait, or within the request's own time."""


class EndpointError(Exception):
    """Base of all; `str(error)` is one sentence that says what would be right."""


class ConfigError(EndpointError):
    """A setting is missing, unknown or out of range."""


class ModelError(EndpointError):
    """A model is broken, truncated or of a kind that is not supported."""


class AdapterError(EndpointError):
    """An adapter is broken, of a kind that is not supported, or made for another model."""


class HubError(EndpointError):
    """A model name is unknown, or its files could not be fetched."""


class LedgerError(EndpointError):
    """What requests used cannot be kept or read now."""


class RequestError(EndpointError):
    """The caller's request is wrong.

    `field` is the dotted path of the offending body field (None when it is no field's fault),
    `status` the HTTP status to answer with.
    """

    def __init__(self, message: str, *, field: str | None = None, status: int = 422) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


class EngineError(EndpointError):
    """The engine could not finish a request that was not at fault."""


class EngineFullError(EngineError):
    """There is no room; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0, reason: Lack = "full") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.reason = reason


class PoisonError(EngineError):
    """The engine has ended again and again under this request, or under one that asks the same."""
