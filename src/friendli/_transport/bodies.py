"""The body of an answer, chunk by chunk, bounded in time and size."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2

from friendli._call import Failure
from friendli._forks import leave_to_parent, renew_after_fork
from friendli._retry import Trouble
from friendli._transport.loops import close_soon, is_trio, running_loop
from friendli._transport.sockets import hang_up, hanging_up_after, sever
from friendli._transport.wire import chunks_of, chunks_of_async, failed

if TYPE_CHECKING:
    from collections.abc import Callable

# What follows the end of a stream is read, so that the connection can be used again, but only this far.
_DRAIN_BYTES = 64 * 2**10
_DRAIN_SECONDS = 0.25
_MOST_HELD = 64 * 2**10  # chunks; one read of the library holds no more bytes


class BodyBrokenError(Exception):
    """The body of an answer broke off, took too long or is too large; `part` is what `read` had of it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.part = b""


class SyncBody:
    """An open answer. Closed when it is dropped or told to.

    It keeps `owner` alive: a client that closes its connections when dropped must outlive the stream.
    """

    def __init__(self, response: httpx2.Response, meter: Meter, *, owner: object = None) -> None:
        self._response = response
        self._owner = owner
        self._chunks = chunks_of(response)
        self._meter = meter
        self._ended = False
        self.is_ours = True
        renew_after_fork(self)

    def receive(self) -> bytes | None:
        """The next chunk, None at the end; raises `BodyBrokenError`."""
        try:
            chunk = next(self._chunks, None)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise _broken(error, is_ours=self.is_ours) from error
        if chunk is None:
            self._ended = True
            return None
        self._meter.check(len(chunk))
        return chunk

    def read(self) -> bytes:
        """The whole; raises `BodyBrokenError`."""
        parts: list[bytes] = []
        try:
            while (chunk := self.receive()) is not None:
                parts.append(chunk)
        except BodyBrokenError as error:
            error.part = b"".join(parts)
            raise
        return b"".join(parts)

    def drain(self) -> None:
        """Read a bounded remainder, so that the connection can be used again; HTTP/2 needs no such thing."""
        if self._response.http_version != "HTTP/2":
            self._meter = self._meter.for_rest(_DRAIN_SECONDS, _DRAIN_BYTES)
            # RuntimeError: no thread can be started; then this connection is not used again.
            with suppress(BodyBrokenError, RuntimeError), hanging_up_after(self._response, _DRAIN_SECONDS):
                self.read()

    def close(self) -> None:
        """Let go of the connection."""
        if not self.is_ours:
            return
        if not self._ended:
            hang_up(self._response)
        self._response.close()

    def after_fork(self) -> None:
        """Leave it to the parent: what closes it here, even by dropping it, could wait for a lock for ever."""
        self.is_ours = False
        leave_to_parent(self._response, self._chunks)
        sever(self._response)

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


class AsyncBody:
    """The async twin of `SyncBody`."""

    def __init__(self, response: httpx2.Response, meter: Meter, *, owner: object = None) -> None:
        self._response = response
        self._owner = owner
        self._loop = running_loop()
        self._chunks = chunks_of_async(response)
        self._meter = meter
        self.is_ours = True
        renew_after_fork(self)

    async def receive(self) -> bytes | None:
        """The next chunk, None at the end; raises `BodyBrokenError`."""
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            return None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise _broken(error, is_ours=self.is_ours) from error
        self._meter.check(len(chunk))
        return chunk

    async def read(self) -> bytes:
        """The whole; raises `BodyBrokenError`."""
        parts: list[bytes] = []
        try:
            while (chunk := await self.receive()) is not None:
                parts.append(chunk)
        except BodyBrokenError as error:
            error.part = b"".join(parts)
            raise
        return b"".join(parts)

    async def drain(self) -> None:
        """Read a bounded remainder, so that the connection can be used again; HTTP/2 needs no such thing."""
        import anyio

        if self._response.http_version != "HTTP/2":
            self._meter = self._meter.for_rest(_DRAIN_SECONDS, _DRAIN_BYTES)
            with suppress(BodyBrokenError), anyio.move_on_after(_DRAIN_SECONDS):
                await self.read()

    async def aclose(self) -> None:
        """Let go of the connection."""
        if not self.is_ours:
            return
        await self._response.aclose()
        if is_trio(self._loop) and self._response.http_version != "HTTP/2":
            await self._unwind()

    async def _unwind(self) -> None:
        """End the library's generators: trio does not bear one that is left half read, nor does closing the outer do.

        The connection is closed, so that they come to an end as soon as what was received already is passed on.
        """
        # RuntimeError: another task is waiting in them, and ends them.
        with suppress(httpx2.HTTPError, httpx2.StreamError, StopAsyncIteration, RuntimeError):
            for _ in range(_MOST_HELD):
                await self._chunks.__anext__()

    def after_fork(self) -> None:
        """As `SyncBody` does."""
        self.is_ours = False
        leave_to_parent(self._response, self._chunks)
        sever(self._response)

    def __del__(self) -> None:
        if self.is_ours and not self._response.is_closed:
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
            raise BodyBrokenError(LATE)
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise BodyBrokenError(Failure(Trouble.FINAL, "the answer is too large", None))

    def for_rest(self, seconds: float, largest: int) -> Meter:
        """Bounds for what follows, from now on."""
        return Meter(self._clock, self._clock() + seconds, largest)


LATE = Failure(Trouble.FINAL, "the call took longer than allowed", None, timed_out=True)


def _broken(error: httpx2.HTTPError | httpx2.StreamError, *, is_ours: bool) -> BodyBrokenError:
    failure = failed(error, answered=True)
    if is_ours:
        return BodyBrokenError(failure)
    return BodyBrokenError(replace(failure, message="the stream was opened by the parent process, and goes on there"))
