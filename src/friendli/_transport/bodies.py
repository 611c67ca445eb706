"""The body of an answer, chunk by chunk, bounded in time and size."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2

from friendli._call import Failure
from friendli._forks import renew_after_fork
from friendli._retry import Trouble
from friendli._transport.wire import chunks_of, chunks_of_async, failed

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Iterator

# What follows the end of a stream is read, so that the connection can be used again, but only this far.
_DRAIN_BYTES = 64 * 2**10
_DRAIN_SECONDS = 1.0
_inherited: list[object] = []  # never dropped
_MOST_HELD = 64 * 2**10  # chunks; one read of the library holds no more bytes


class BodyBrokenError(Exception):
    """The body of an answer broke off, took too long or is too large."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@contextmanager
def breaking(body: SyncBody | AsyncBody) -> Iterator[None]:
    """Raise `BodyBrokenError` for what the HTTP library raises while `body` is read."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        failure = failed(error, answered=True)
        if not body.is_ours:
            failure = replace(failure, message="the stream was opened by the parent process, and only there it goes on")
        raise BodyBrokenError(failure) from error


class SyncBody:
    """An open answer. Closed when it is dropped or told to.

    Iterate over `chunks` within `breaking()`, and let `meter` check each: layers less, because streams are many chunks.
    It keeps `owner` alive: a client that closes its connections when dropped must outlive the stream.
    """

    def __init__(self, response: httpx2.Response, meter: Meter, *, owner: object = None) -> None:
        self._response = response
        self._owner = owner
        self.chunks = chunks_of(response)
        self.meter = meter
        self.is_ours = True
        renew_after_fork(self)

    def read(self) -> bytes:
        """The whole; raises `BodyBrokenError`."""
        parts = []
        with breaking(self):
            for chunk in self.chunks:
                self.meter.check(len(chunk))
                parts.append(chunk)
        return b"".join(parts)

    def drain(self) -> None:
        """Read a bounded remainder, so that the connection can be used again; HTTP/2 needs no such thing."""
        if self._response.http_version == "HTTP/2":
            return
        meter = self.meter.for_rest(_DRAIN_SECONDS, _DRAIN_BYTES)
        with suppress(httpx2.HTTPError, httpx2.StreamError, BodyBrokenError), _shut_after(self._response):
            for chunk in self.chunks:
                meter.check(len(chunk))

    def close(self) -> None:
        """Let go of the connection."""
        if self.is_ours:
            self._response.close()

    def after_fork(self) -> None:
        """Leave it to the parent: what closes it here, even by dropping it, could wait for a lock for ever."""
        self.is_ours = False
        _inherited.append((self._response, self.chunks))
        _sever(self._response)

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


class AsyncBody:
    """The async twin of `SyncBody`; dropping it closes it under asyncio alone."""

    def __init__(self, response: httpx2.Response, meter: Meter, *, owner: object = None) -> None:
        self._response = response
        self._owner = owner
        self.chunks = chunks_of_async(response)
        self.meter = meter
        self.is_ours = True
        renew_after_fork(self)
        self._loop = asyncio_loop()

    async def read(self) -> bytes:
        """The whole; raises `BodyBrokenError`."""
        parts = []
        with breaking(self):
            async for chunk in self.chunks:
                self.meter.check(len(chunk))
                parts.append(chunk)
        return b"".join(parts)

    async def drain(self) -> None:
        """Read a bounded remainder, so that the connection can be used again; HTTP/2 needs no such thing."""
        import anyio

        if self._response.http_version == "HTTP/2":
            return
        meter = self.meter.for_rest(_DRAIN_SECONDS, _DRAIN_BYTES)
        with suppress(httpx2.HTTPError, httpx2.StreamError, BodyBrokenError), anyio.move_on_after(_DRAIN_SECONDS):
            async for chunk in self.chunks:
                meter.check(len(chunk))

    async def aclose(self) -> None:
        """Let go of the connection."""
        if not self.is_ours:
            return
        await self._response.aclose()
        if self._loop is None and self._response.http_version != "HTTP/2":
            await self._unwind()

    async def _unwind(self) -> None:
        """End the library's generators: trio does not bear one that is left half read, nor does closing the outer do.

        The connection is closed, so that they come to an end as soon as what was received already is passed on.
        """
        with suppress(httpx2.HTTPError, httpx2.StreamError, StopAsyncIteration):
            for _ in range(_MOST_HELD):
                await anext(self.chunks)

    def after_fork(self) -> None:
        """As `SyncBody` does."""
        self.is_ours = False
        _inherited.append((self._response, self.chunks))
        _sever(self._response)

    def __del__(self) -> None:
        if self._loop is not None and not self._response.is_closed and self.is_ours:
            close_soon(self._loop, self._response)


class Meter:
    """Bounds the reading of a body: no further than `deadline`, in seconds on `clock`, and `largest` bytes."""

    def __init__(self, clock: Callable[[], float], deadline: float, largest: int | None = None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._left = largest

    def check(self, size: int) -> None:
        """Count one chunk of `size` bytes; raises `BodyBrokenError` beyond a bound."""
        if self._clock() > self._deadline:
            raise BodyBrokenError(Failure(Trouble.FINAL, "the call took longer than allowed", None, timed_out=True))
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise BodyBrokenError(Failure(Trouble.FINAL, "the answer is too large", None))

    def for_rest(self, seconds: float, largest: int) -> Meter:
        """Bounds for what follows, from now on."""
        return Meter(self._clock, self._clock() + seconds, largest)


def _sever(response: httpx2.Response) -> None:
    """Put nothing in the place of this process's copy of a connection: reading fails, and the parent alone ends it."""
    sock = _socket_of(response)
    with suppress(OSError):
        if sock is not None and sock.fileno() >= 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, sock.fileno())
            os.close(nothing)


def _socket_of(response: httpx2.Response) -> socket.socket | None:
    network = response.extensions.get("network_stream")
    sock: socket.socket | None = network.get_extra_info("socket") if network is not None else None
    return sock


@contextmanager
def _shut_after(response: httpx2.Response) -> Iterator[None]:
    """Wake a blocked read after a while: the read timeout of an open answer cannot be shortened."""
    sock = _socket_of(response)
    if sock is None:
        yield
        return
    timer = threading.Timer(_DRAIN_SECONDS, _shut, (sock,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(sock: socket.socket) -> None:
    import socket

    with suppress(OSError):
        sock.shutdown(socket.SHUT_RD)


_closing: set[asyncio.Task[None]] = set()  # the loop itself keeps no strong reference to its tasks


def close_soon(loop: asyncio.AbstractEventLoop, closable: httpx2.Response | httpx2.AsyncClient) -> None:
    """Close what was dropped without a chance to await; from any thread."""
    with suppress(RuntimeError):  # the loop is closed, and its connections with it
        loop.call_soon_threadsafe(_close, loop, closable)


def _close(loop: asyncio.AbstractEventLoop, closable: httpx2.Response | httpx2.AsyncClient) -> None:
    task = loop.create_task(closable.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """The running loop, None under another async library."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
