"""Run a call's life: do what it asks for, tell it what came of it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.lowlevel
import httpx2

from friendli._call import Reply, Send, Sleep, life
from friendli._transport.bodies import AsyncBody, BodyBrokenError, SyncBody, asyncio_loop, close_soon
from friendli._transport.wire import failed, reply_of, request_of, response_of, stays_open

if TYPE_CHECKING:
    import asyncio
    import ssl

    from friendli._call import Call, Outcome

SyncClient: TypeAlias = httpx2.Client
AsyncClient: TypeAlias = httpx2.AsyncClient

_LARGEST_BODY = 64 * 2**20
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=5.0)


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients: loading the certificates costs more than a hundred calls."""
    return httpx2.create_ssl_context()


class SyncTransport:
    """Runs calls over a blocking client; makes its own client at the first call unless it is given one."""

    def __init__(self, client: SyncClient | None = None) -> None:
        self._client = client
        self._owned = client is None
        self._lock = threading.Lock()

    def run(self, call: Call) -> Reply:
        """Live through `call`; raises its `SDKError`. The reply of a stream is open: read it with `body`."""
        flow = life(call)
        effect = next(flow)
        while True:
            outcome: Outcome = None
            if isinstance(effect, Sleep):
                time.sleep(effect.seconds)
            else:
                outcome = self._send(effect)
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                return _returned(end)

    def body(self, reply: Reply, call: Call) -> SyncBody:
        """The chunks of a reply that is open."""
        return SyncBody(response_of(reply), call.deadline, owner=self)

    def close(self) -> None:
        """Close the client, if it is our own; a later call makes a new one."""
        with self._lock:
            client = self._client if self._owned else None
            if client is not None:
                self._client = None
                client.close()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def _send(self, send: Send) -> Outcome:
        client = self._opened()
        try:
            response = client.send(request_of(client, send), stream=True, follow_redirects=True)
        except httpx2.HTTPError as error:
            return failed(error, answered=False)
        if stays_open(send, response):
            return reply_of(response, b"")
        body = SyncBody(response, send.deadline, largest=_LARGEST_BODY)
        try:
            return reply_of(response, b"".join(body))
        except BodyBrokenError as error:
            return error.failure
        finally:
            response.close()

    def _opened(self) -> SyncClient:
        with self._lock:
            if self._client is None:
                self._client = httpx2.Client(limits=_LIMITS, verify=_tls())
            return self._client


class AsyncTransport:
    """Runs calls over an async client; makes its own, one per event loop, unless it is given one."""

    def __init__(self, client: AsyncClient | None = None) -> None:
        self._client = client
        self._owned = client is None
        self._loop: object = None  # that our own client's connections belong to
        self._asyncio: asyncio.AbstractEventLoop | None = None  # the same, if it is asyncio's

    async def run(self, call: Call) -> Reply:
        """Live through `call`; raises its `SDKError`. The reply of a stream is open: read it with `body`."""
        flow = life(call)
        effect = next(flow)
        while True:
            outcome: Outcome = None
            if isinstance(effect, Sleep):
                await anyio.sleep(effect.seconds)
            else:
                outcome = await self._send(effect)
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                return _returned(end)

    def body(self, reply: Reply, call: Call) -> AsyncBody:
        """The chunks of a reply that is open."""
        return AsyncBody(response_of(reply), call.deadline, owner=self)

    async def aclose(self) -> None:
        """Close the client, if it is our own; a later call makes a new one."""
        client = self._client if self._owned else None
        if client is not None:
            self._client = None
            await client.aclose()

    def __del__(self) -> None:
        if self._owned and self._client is not None and self._asyncio is not None:
            close_soon(self._asyncio, self._client)

    async def _send(self, send: Send) -> Outcome:
        client = self._opened()
        try:
            response = await client.send(request_of(client, send), stream=True, follow_redirects=True)
        except httpx2.HTTPError as error:
            return failed(error, answered=False)
        if stays_open(send, response):
            return reply_of(response, b"")
        body = AsyncBody(response, send.deadline, largest=_LARGEST_BODY)
        try:
            return reply_of(response, b"".join([chunk async for chunk in body]))
        except BodyBrokenError as error:
            return error.failure
        finally:
            await response.aclose()

    def _opened(self) -> AsyncClient:
        loop = anyio.lowlevel.current_token()
        if self._client is None or (self._owned and loop != self._loop):
            self._client = httpx2.AsyncClient(limits=_LIMITS, verify=_tls())
            self._loop, self._asyncio = loop, asyncio_loop()
        return self._client


def _returned(end: StopIteration) -> Reply:
    reply: Reply = end.value
    return reply
