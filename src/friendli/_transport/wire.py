"""Between our data and the HTTP library's objects."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import httpx2

from friendli._answers import is_event_stream
from friendli._call import Failure, Reply, Send
from friendli._retry import Trouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from friendli._transport.bodies import BodyBrokenError

_OF_THE_TRANSFER = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


def request_of(client: httpx2.Client | httpx2.AsyncClient, send: Send) -> httpx2.Request:
    """The request, with what `client` adds to all; nothing of that goes abroad."""
    limits = send.limits
    timeout = httpx2.Timeout(connect=limits.connect, read=limits.silence, write=limits.silence, pool=limits.total)
    build = _bare_request if send.abroad else client.build_request
    return build(send.method, send.url, headers=dict(send.headers), content=send.content, timeout=timeout)


def _bare_request(
    method: str, url: str, *, headers: dict[str, str], content: bytes, timeout: httpx2.Timeout
) -> httpx2.Request:
    """A request without the headers, cookies and parameters that a client adds to its own."""
    extensions = {"timeout": timeout.as_dict()}
    return httpx2.Request(method, url, headers=headers, content=content, extensions=extensions)


def stays_open(send: Send, response: httpx2.Response) -> bool:
    """Whether the answer is the stream that was asked for; every other one is read whole."""
    return send.stream and response.is_success and is_event_stream(response.headers)


def chunks_of(response: httpx2.Response) -> Iterator[bytes]:
    """The body as it comes; reading it below the response's own layers halves what the library costs per chunk."""
    if isinstance(response.stream, httpx2.SyncByteStream) and _is_untouched(response):
        return iter(response.stream)
    return response.iter_bytes()


def chunks_of_async(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The async twin of `chunks_of`."""
    if isinstance(response.stream, httpx2.AsyncByteStream) and _is_untouched(response):
        return aiter(response.stream)
    return response.aiter_bytes()


def _is_untouched(response: httpx2.Response) -> bool:
    """Neither compressed nor read already, as a supplied client's hooks may have done."""
    return not (response.is_stream_consumed or "content-encoding" in response.headers)


def reply_of(response: httpx2.Response, body: bytes) -> Reply:
    """The answer as data, stamped with the time."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, body, time.time(), lambda: response)


# The first class that fits decides; where none does, the request itself was at fault and trying again is no use.
_TROUBLES: tuple[tuple[type[Exception], Trouble, str, bool], ...] = (
    (httpx2.ConnectTimeout, Trouble.CONNECT, "the endpoint could not be reached in time", True),
    (httpx2.PoolTimeout, Trouble.CONNECT, "no connection was free in time", True),
    (httpx2.TimeoutException, Trouble.TIMEOUT, "the endpoint was silent for too long", True),
    (httpx2.ConnectError, Trouble.CONNECT, "the endpoint could not be reached", False),
    (httpx2.ProxyError, Trouble.CONNECT, "the proxy could not be used", False),
    (httpx2.LocalProtocolError, Trouble.FINAL, "the request could not be sent", False),
    (httpx2.TransportError, Trouble.BROKEN, "the connection to the endpoint broke", False),
    (httpx2.InvalidURL, Trouble.FINAL, "the address is none that can be called", False),
    (UnicodeError, Trouble.FINAL, "the address is none that can be called", False),
    (httpx2.StreamError, Trouble.FINAL, "the answer's body was used up by a hook of the HTTP client", False),
    (httpx2.DecodingError, Trouble.FINAL, "the answer could not be decompressed", False),
)


def failed(error: Exception, *, answered: bool) -> Failure:
    """What an error of the library means; `answered` tells that the head of the answer had come."""
    fits = (row[1:] for row in _TROUBLES if isinstance(error, row[0]))
    trouble, message, timed_out = next(fits, (Trouble.FINAL, "the request failed", False))
    return Failure(Trouble.FINAL if answered else trouble, message, error, timed_out)


# UnicodeError: a host's name that is none. RuntimeError: a client that is closed.
SENDING_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, RuntimeError)


def unsent(error: Exception, client: httpx2.Client | httpx2.AsyncClient, *, is_own: bool) -> Failure:
    """What an error before an answer means; raises what is none of the library's."""
    if not isinstance(error, RuntimeError):
        return failed(error, answered=False)
    if not client.is_closed:
        raise error
    # Our own was closed by another thread meanwhile: the next attempt opens a new one.
    return Failure(Trouble.CONNECT if is_own else Trouble.FINAL, "the HTTP client was closed", error)


def whole_reply(response: httpx2.Response, body: bytes) -> Reply:
    """An answer that was read whole; its response has the body, too, which was read below it."""
    return replace(reply_of(response, body), raw=partial(_filled, response, body))


def broken_reply(response: httpx2.Response, error: BodyBrokenError) -> Reply | Failure:
    """An answer that broke off: one that is an error all the same keeps its status and what came of its body."""
    return error.failure if response.is_success else whole_reply(response, error.part)


def content_of(response: httpx2.Response) -> bytes:
    """The body that a client's own hook has read, if it has."""
    try:
        return response.content
    except httpx2.ResponseNotRead:
        return b""


def _filled(response: httpx2.Response, body: bytes) -> httpx2.Response:
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_TRANSFER]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=body,
        request=response.request,
        extensions=response.extensions,
        history=response.history,
    )


def response_of(reply: Reply) -> httpx2.Response:
    """The open response behind a reply."""
    response = reply.raw()
    if not isinstance(response, httpx2.Response):
        raise TypeError("the reply is not one of this transport")
    return response
