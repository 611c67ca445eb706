"""What a caller may send: headers, and a body of a size and within a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
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
