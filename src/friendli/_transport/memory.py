"""A network without sockets: `friendli.testing` says what it answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import httpx2

from friendli._transport.exchange import EndlessWaitError, Exchange
from friendli._transport.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from friendli._transport.exchange import Answer, Step


class MemoryNetwork:
    """Asks `answer` for the answer to each request; `waits` are those of the calls between their attempts."""

    def __init__(self, answer: Callable[[Exchange], Answer]) -> None:
        self.time = VirtualTime()
        self.waits: list[float] = []
        self._answer = answer

    def client(self) -> httpx2.Client:
        return httpx2.Client(transport=_SyncTransport(self), trust_env=False)

    def async_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=_AsyncTransport(self), trust_env=False)

    def now(self) -> float:
        return self.time.now()

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time.wait(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.waits.append(seconds)
        await self.time.wait_async(seconds)

    def playback(self, request: httpx2.Request, content: bytes) -> _Playback:
        """The answer to `request`."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        exchange = Exchange(request.method, str(request.url), headers, content, self.now())
        return _Playback(request, exchange, self._answer(exchange))


class _Playback:
    """Plays an answer as the steps that a driver takes: floats are seconds to wait, bytes arrive."""

    def __init__(self, request: httpx2.Request, exchange: Exchange, answer: Answer) -> None:
        self._request = request
        self._exchange = exchange
        self._answer = answer

    def opening(self) -> Iterator[float]:
        """What passes until the head; raises the HTTP library's error where none comes."""
        match self._answer.lost:
            case "refused":
                late = httpx2.ConnectTimeout("the connection took too long", request=self._request)
                yield from self._wait(self._answer.delay, "connect", late)
                raise httpx2.ConnectError("connection refused", request=self._request)
            case lost:
                yield from self._wait(self._answer.delay, "read", self._silence())
                if lost:
                    raise httpx2.ReadError("connection reset", request=self._request)
        self._exchange.state = "open"

    def response(self, stream: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> httpx2.Response:
        return httpx2.Response(self._answer.status, headers=dict(self._answer.headers), stream=stream)

    def body(self) -> Iterator[Step]:
        """What passes after the head; raises the HTTP library's error where the body breaks."""
        try:
            yield from self._steps()
        except httpx2.TransportError:
            self._exchange.state = "broken"
            raise
        self._exchange.state = "read"

    def close(self) -> None:
        """The client wants no more."""
        if self._exchange.state == "open":
            self._exchange.state = "closed"

    def _steps(self) -> Iterator[Step]:
        silent = 0.0
        for step in self._answer.body:
            if self._exchange.state == "closed":
                raise httpx2.StreamClosed
            if isinstance(step, bytes):
                silent = 0.0
                yield step
            else:
                yield from self._wait(step, "read", self._silence(), waited=silent)
                silent += step
        match self._answer.ending:
            case "reset":
                raise httpx2.ReadError("connection reset", request=self._request)
            case "close":
                raise httpx2.RemoteProtocolError("connection closed within the body", request=self._request)
            case "stall":
                yield from self._wait(math.inf, "read", self._silence(), waited=silent)

    def _wait(
        self, seconds: float, kind: str, late: httpx2.TimeoutException, *, waited: float = 0.0
    ) -> Iterator[float]:
        """Wait, unless the request's timeout of this kind, of which `waited` is over, comes first: then `late`."""
        limit: float | None = self._request.extensions.get("timeout", {}).get(kind)
        if limit is not None and waited + seconds > limit:
            yield limit - waited
            raise late
        if math.isinf(seconds):
            raise EndlessWaitError(f"the client has no {kind} timeout, and waits for ever")
        yield seconds

    def _silence(self) -> httpx2.ReadTimeout:
        return httpx2.ReadTimeout("nothing came for too long", request=self._request)


class _SyncTransport(httpx2.BaseTransport):
    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        playback = self._network.playback(request, request.read())
        for seconds in playback.opening():
            self._network.time.wait(seconds)
        return playback.response(_SyncBody(playback, self._network.time))


class _AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        playback = self._network.playback(request, await request.aread())
        for seconds in playback.opening():
            await self._network.time.wait_async(seconds)
        return playback.response(_AsyncBody(playback, self._network.time))


class _SyncBody(httpx2.SyncByteStream):
    def __init__(self, playback: _Playback, time: VirtualTime) -> None:
        self._playback = playback
        self._time = time

    def __iter__(self) -> Iterator[bytes]:
        for step in self._playback.body():
            if isinstance(step, bytes):
                yield step
            else:
                self._time.wait(step)

    def close(self) -> None:
        self._playback.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, playback: _Playback, time: VirtualTime) -> None:
        self._playback = playback
        self._time = time

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._playback.body():
            if isinstance(step, bytes):
                await self._time.wait_async(0.0)  # as a socket would, let the other tasks run
                yield step
            else:
                await self._time.wait_async(step)

    async def aclose(self) -> None:
        self._playback.close()
