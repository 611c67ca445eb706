"""The body of an answer, chunk by chunk, bounded in time and size."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx2

from friendli._call import Failure
from friendli._retry import Trouble
from friendli._transport.wire import chunks_of, chunks_of_async, failed

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Iterator

# What follows the end of a stream is read, so that the connection can be used again, but only this far.
_DRAIN_BYTES = 64 * 2**10
_DRAIN_SECONDS = 1.0


class BodyBrokenError(Exception):
    """The body of an answer broke off, took too long or is too large."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@contextmanager
def breaking() -> Iterator[None]:
    """Raise `BodyBrokenError` for what the HTTP library raises while a body is read."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise BodyBrokenError(failed(error, answered=True)) from error


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

    def read(self) -> bytes:
        """The whole; raises `BodyBrokenError`."""
        parts = []
        with breaking():
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
        self._response.close()

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
        self._loop = asyncio_loop()

    async def read(self) -> bytes:
        """The whole; raises `BodyBrokenError`."""
        parts = []
        with breaking():
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
        try:
            if isinstance(self.chunks, AsyncGenerator):  # trio does not bear one that is left half read
                await self.chunks.aclose()
        finally:
            await self._response.aclose()

    def __del__(self) -> None:
        if self._loop is not None and not self._response.is_closed:
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


@contextmanager
def _shut_after(response: httpx2.Response) -> Iterator[None]:
    """Wake a blocked read after a while: the read timeout of an open answer cannot be shortened."""
    network = response.extensions.get("network_stream")
    sock: socket.socket | None = network.get_extra_info("socket") if network is not None else None
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
