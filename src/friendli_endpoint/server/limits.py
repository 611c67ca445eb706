"""What a caller may use before any work is done: headers, body, time, and a counted place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from friendli_endpoint.errors import EngineFullError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from friendli_endpoint.config import ServerSettings

_MOST_HEADERS = 100
_MOST_HEADER_BYTES = 16 * 2**10


class ClientLeftError(Exception):
    """The client closed its connection; nobody is there to be answered."""


class HeaderLimit:
    """Refuses a request with too many or too large headers with 431."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        if len(headers) > _MOST_HEADERS or size > _MOST_HEADER_BYTES:
            raise RequestError(
                f"The headers are too large: at most {_MOST_HEADERS} headers, {_MOST_HEADER_BYTES} bytes.", status=431
            )
        await self._app(scope, receive, send)


class Admission:
    """Counts the requests that wait or run; it decides nothing else, so that a refusal costs nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places: set[Place] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.closing = False
        """Set once, when the server is about to stop: nobody new comes in."""

    def enter(self) -> Place:
        """Take a place. Raises `EngineFullError` when there is none, at once."""
        if len(self._places) >= self._limit:
            raise EngineFullError(f"All {self._limit} places are taken; try again shortly.")
        place = Place(self._leave)
        self._places.add(place)
        self._idle.clear()
        return place

    def _leave(self, place: Place) -> None:
        self._places.discard(place)
        if not self._places:
            self._idle.set()

    async def idle(self) -> None:
        """Return once nobody holds a place."""
        await self._idle.wait()


class Place:
    """One request's place; as a context manager it is left at the latest at the end."""

    def __init__(self, leave: Callable[[Place], None]) -> None:
        self._leave = leave

    def leave(self) -> None:
        """Give the place back; again does nothing."""
        self._leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


async def read_json_body(scope: Scope, receive: Receive, limits: ServerSettings) -> bytes:
    """The request's body, if its headers say that it is JSON and it fits the limits.

    Raises `RequestError` (408, 413, 415) or `ClientLeftError`.
    """
    headers = {name: value for name, value in scope["headers"] if name in _BODY_HEADERS}
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise RequestError("The body should be JSON; send the header Content-Type: application/json.", status=415)
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestError("The body should not be compressed; leave out Content-Encoding.", status=415)
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > 18 or int(length) > limits.max_body_bytes):
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read(receive, limits)
    except TimeoutError:
        raise RequestError(f"The body did not arrive within {limits.body_seconds:g} s.", status=408) from None


_BODY_HEADERS = frozenset({b"content-type", b"content-encoding", b"content-length"})


async def _read(receive: Receive, limits: ServerSettings) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientLeftError
        body += message.get("body", b"")
        if len(body) > limits.max_body_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(limits: ServerSettings) -> RequestError:
    return RequestError(f"The body is larger than {limits.max_body_bytes} bytes.", status=413)
