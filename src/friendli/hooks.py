"""Plain callables that see a call's life: log it, measure it, add a header. `telemetry.spans` is made of them.

    Friendli(hooks=Hooks(retry=lambda event: print(event.attempt, event.wait, event.error)))

Order within one call: for each attempt `request`, then `response` if an answer began, then `retry` if there is another
attempt; `error` if the call fails; last, and exactly once whatever came of it, `end`. All events of a call carry the
same `call` object. Hooks of an async client are called on its event loop: they should be quick. What a hook raises is
raised to the caller. No event shows a token or a prompt in its repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from friendli.errors import SDKError
    from friendli.models.request import CompletionsBody
    from friendli.models.response import CompletionsResult

__all__ = ["CallInfo", "EndEvent", "ErrorEvent", "Hooks", "RequestEvent", "ResponseEvent", "RetryEvent"]


@dataclass(frozen=True, eq=False)
class CallInfo:
    """One logical call, all its attempts together; equal only to itself, so that it can be a key.

    `url` is the address without a user or a query; `idempotency_key` is the same on every attempt.
    """

    operation: Literal["complete", "stream"]
    url: str
    idempotency_key: str
    body: CompletionsBody = field(repr=False)


@dataclass(frozen=True)
class RequestEvent:
    """The attempt number `attempt`, from 1, is about to be sent.

    What is put into `headers` (lower-case names) is sent with this attempt; the token is not among them.
    """

    call: CallInfo
    attempt: int
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class ResponseEvent:
    """An answer began, good or bad; `elapsed` are the seconds since the call began."""

    call: CallInfo
    attempt: int
    status: int
    headers: Mapping[str, str] = field(repr=False)
    request_id: str | None
    elapsed: float


@dataclass(frozen=True)
class RetryEvent:
    """The attempt number `attempt` failed with `error`; the next one begins in `wait` seconds."""

    call: CallInfo
    attempt: int
    error: SDKError
    wait: float


@dataclass(frozen=True)
class ErrorEvent:
    """The call failed: `error` is what its caller gets, also from inside a stream."""

    call: CallInfo
    error: SDKError
    elapsed: float


@dataclass(frozen=True)
class EndEvent:
    """The call is over. `finished`: the whole answer came; else there is an error, or the caller wanted no more.

    `result` is None for a stream that carried no usage, too. `time_to_first_token` are the seconds from the call's
    begin to a stream's first token, None without one.
    """

    call: CallInfo
    result: CompletionsResult | None = field(repr=False)
    error: SDKError | None
    elapsed: float
    time_to_first_token: float | None
    finished: bool = False


@dataclass(frozen=True)
class Hooks:
    """What to call, when; leave out what you do not need."""

    request: Callable[[RequestEvent], object] | None = None
    response: Callable[[ResponseEvent], object] | None = None
    retry: Callable[[RetryEvent], object] | None = None
    error: Callable[[ErrorEvent], object] | None = None
    end: Callable[[EndEvent], object] | None = None

    def __post_init__(self) -> None:
        for name, hook in vars(self).items():
            if hook is not None and (not callable(hook) or iscoroutinefunction(hook)):
                raise TypeError(f"{name} should be a plain callable: what is called is not awaited")
