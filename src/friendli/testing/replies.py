"""What an endpoint can be told to answer. A completion is in `completions`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from friendli._transport.exchange import Answer
from friendli.testing.delivery import Delivery, check_ending, paced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from friendli._transport.exchange import Ending
    from friendli.models.response import CompletionsResult
    from friendli.testing.asked import Request
    from friendli.testing.delivery import Headers, Style

_TYPES = {
    400: "invalid_request",
    401: "authentication_error",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    422: "invalid_request",
    429: "overloaded",
    503: "unavailable",
}
_LONGEST_SHOWN = 40  # characters


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One thing to answer, `delivery.times` times."""

    delivery: Delivery

    def answer(self, request: Request, style: Style) -> Answer:
        """What goes on the wire."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Failure(Reply):
    """An error status; see `failure`."""

    status: int
    error: Mapping[str, str]
    headers: Headers

    def content(self, request: Request) -> bytes:
        """The body, also of an event in a stream."""
        return json.dumps({"error": {**self.error, "request_id": f"req-{request.number}"}}).encode()

    def answer(self, request: Request, style: Style) -> Answer:
        headers = {"content-type": "application/json", **self.headers}
        return self.delivery.answer(request, style, headers, [self.content(request)], status=self.status, ending="end")

    def __repr__(self) -> str:
        return f"failure({self.status}, {shortened(self.error['message'])!r})"


@dataclass(frozen=True, kw_only=True)
class Raw(Reply):
    """Bytes as they are; see `raw`."""

    status: int
    headers: Headers
    chunks: tuple[bytes, ...] = field(repr=False)
    ending: Ending

    def answer(self, request: Request, style: Style) -> Answer:
        body = paced(self.chunks, self.delivery.pace)
        return self.delivery.answer(request, style, self.headers, body, status=self.status, ending=self.ending)

    def __repr__(self) -> str:
        if place := self.headers.get("location"):
            return f"redirect({place!r}, {self.status})"
        return f"raw({sum(map(len, self.chunks))} bytes, status={self.status})"


@dataclass(frozen=True, kw_only=True)
class Lost(Reply):
    """No answer; see `refused` and `dropped`."""

    how: Literal["refused", "dropped"]

    def answer(self, request: Request, style: Style) -> Answer:
        return Answer(delay=self.delivery.delay, lost=self.how)

    def __repr__(self) -> str:
        return f"{self.how}()"


Handler: TypeAlias = "Callable[[Request], Scripted]"
Scripted: TypeAlias = "str | CompletionsResult | Reply | Handler"


def failure(
    status: int = 500,
    message: str | None = None,
    *,
    type: str | None = None,  # noqa: A002 - the wire's name
    field: str | None = None,
    retry_after: float | str | None = None,
    headers: Headers | None = None,
    delay: float = 0.0,
    times: int = 1,
) -> Failure:
    """An answer with an error status and an error body; `completion(..., then=failure(...))` is one inside a stream.

    `retry_after`: seconds, or an HTTP date. `delay`: seconds before the answer. `times`: for how many requests.
    """
    if not 400 <= status <= 599:
        raise ValueError(f"status should be from 400 to 599, not {status}; raw() and redirect() take others")
    kind = type or _TYPES.get(status, "internal_error" if status >= 500 else "invalid_request")
    error = {"message": _phrase(status) if message is None else message, "type": kind}
    wait = {} if retry_after is None else {"retry-after": _number(retry_after)}
    return Failure(
        delivery=Delivery(delay=delay, headers=headers, times=times),
        status=status,
        error=MappingProxyType({**error, "field": field} if field is not None else error),
        headers=wait,
    )


def raw(
    content: bytes | Sequence[bytes],
    *,
    content_type: str = "application/json",
    status: int = 200,
    then: Ending = "end",
    headers: Headers | None = None,
    delay: float = 0.0,
    pace: float = 0.0,
    chunk_bytes: int | None = None,
    times: int = 1,
) -> Reply:
    """Any bytes, as they are; those of a list arrive one after the other, `pace` seconds between them.

    `then`: "end" ends the answer well, "close" closes the connection within it, "reset" resets it, "stall" sends
    nothing more.
    """
    check_ending(then)
    return Raw(
        delivery=Delivery(delay=delay, pace=pace, chunk_bytes=chunk_bytes, headers=headers, times=times),
        status=status,
        headers={"content-type": content_type},
        chunks=(content,) if isinstance(content, bytes) else tuple(content),
        ending=then,
    )


def redirect(
    location: str, status: int = 307, *, headers: Headers | None = None, delay: float = 0.0, times: int = 1
) -> Reply:
    """An answer that sends the client to `location`, an address or a path; the next reply is for the request there."""
    if not 300 <= status <= 399:
        raise ValueError(f"status should be from 300 to 399, not {status}")
    return Raw(
        delivery=Delivery(delay=delay, headers=headers, times=times),
        status=status,
        headers={"location": location},
        chunks=(),
        ending="end",
    )


def refused(*, delay: float = 0.0, times: int = 1) -> Reply:
    """The connection is refused, after `delay` seconds; with `math.inf` nobody is there, and connecting times out."""
    return Lost(delivery=Delivery(delay=delay, times=times), how="refused")


def dropped(*, delay: float = 0.0, times: int = 1) -> Reply:
    """The connection breaks before the answer begins, `delay` seconds after the request."""
    return Lost(delivery=Delivery(delay=delay, times=times), how="dropped")


def shortened(text: str) -> str:
    """Enough of `text` to know it by."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")
