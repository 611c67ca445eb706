"""The endpoint itself."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Self

from friendli._transport.memory import MemoryNetwork
from friendli._transport.network import current, replaced
from friendli.testing.asked import Request
from friendli.testing.delivery import Style
from friendli.testing.errors import UnscriptedRequestError, UnusedRepliesError
from friendli.testing.script import Script, reply_to, taken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from friendli._transport import AsyncClient, SyncClient
    from friendli._transport.exchange import Answer, Exchange
    from friendli.testing.delivery import Generation
    from friendli.testing.replies import Scripted


class Endpoint:
    """Answers every client that has no HTTP client of its own, within `with`, or between `start` and `stop`.

    `script` is what it answers, one after the other, one per HTTP attempt: a text, a `models.CompletionsResult`, a
    reply (`completion`, `failure`, ...), or a function that gets the `Request` and returns one of these. `default` is
    for the requests beyond the script; without one they raise `UnscriptedRequestError` in the caller.

    `generation` and `chunk_bytes` are those of `completion` for replies that do not say. Leaving the block without an
    error raises `UnusedRepliesError` if replies are left, unless `allow_unused`, and `UnscriptedRequestError` if
    something was asked beyond the script.

    Time is virtual: delays, waits between attempts and timeouts take no time, and are exact. Each thread and task has
    its own; the answers to tasks of one event loop come in the order of their times. Safe to share between threads.
    """

    def __init__(
        self,
        *script: Scripted,
        default: Scripted | None = None,
        generation: Generation = 2,
        chunk_bytes: int | None = None,
        allow_unused: bool = False,
    ) -> None:
        self._style = Style(generation, chunk_bytes)
        self._allow_unused = allow_unused
        self._network = MemoryNetwork(self._answer)
        self._block: AbstractContextManager[None] | None = None
        self._script = Script()
        self._lock = Lock()
        self._requests: list[Request] = []
        self._unscripted: list[Request] = []
        self.default = default
        self.script(*script)

    def script(self, *replies: Scripted) -> None:
        """Answer with these, too, after those that are there; raises `TypeError`."""
        self._script.extend(replies)

    @property
    def default(self) -> Scripted | None:
        """What to answer beyond the script."""
        return self._default

    @default.setter
    def default(self, default: Scripted | None) -> None:
        self._default = None if default is None else taken(default, "default")

    @property
    def requests(self) -> Sequence[Request]:
        """What was asked, in the order of arrival."""
        with self._lock:
            return tuple(self._requests)

    @property
    def waits(self) -> Sequence[float]:
        """The waits between attempts, in seconds."""
        return tuple(self._network.waits)

    @property
    def elapsed(self) -> float:
        """Virtual seconds that this thread or task has waited."""
        return self._network.now()

    @property
    def unused(self) -> Sequence[str]:
        """The replies that nobody asked for, described."""
        return self._script.unused()

    @property
    def open_streams(self) -> int:
        """How many answers have neither been read to the end nor closed; `requests` tells which, by their `state`."""
        return sum(request.state == "open" for request in self.requests)

    def http_client(self) -> SyncClient:
        """For one client alone: `SyncFriendli(client=endpoint.http_client())`; needs no `with`."""
        return self._network.client()

    def async_http_client(self) -> AsyncClient:
        """For one client alone: `AsyncFriendli(async_client=endpoint.async_http_client())`; needs no `with`."""
        return self._network.async_client()

    def start(self) -> None:
        """Answer every client from now on."""
        if self._block is not None:
            raise RuntimeError("this endpoint has been started already")
        self._block = replaced(self._network)
        self._block.__enter__()

    def stop(self, *, check: bool = True) -> None:
        """Answer no more; calls that began go on. With `check`, raise as `check` does. Stopping again is harmless."""
        block = self._block
        if block is not None:
            if current() is not self._network:  # going on would send its requests to the real network
                raise RuntimeError("another endpoint was started after this one: stop that one first")
            block.__exit__(None, None, None)
            self._block = None
        if check:
            self.check()

    def check(self) -> None:
        """Raise `UnscriptedRequestError` or `UnusedRepliesError` if script and requests did not match."""
        with self._lock:
            beyond = self._unscripted[:1]
        if beyond:
            raise _unscripted(beyond[0])
        if not self._allow_unused and (left := self.unused):
            raise UnusedRepliesError(f"nobody asked for {len(left)} of the replies: {'; '.join(left)}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(check=error is None)

    def __repr__(self) -> str:
        return f"<Endpoint: {len(self.requests)} requests, {len(self.unused)} replies unused>"

    def _answer(self, exchange: Exchange) -> Answer:
        with self._lock:
            request = Request(len(self._requests) + 1, exchange)
            self._requests.append(request)
            scripted = self._script.next()
            if scripted is None:
                scripted = self._default
            if scripted is None:
                self._unscripted.append(request)
                raise _unscripted(request)
        return reply_to(request, scripted).answer(request, self._style)


def _unscripted(request: Request) -> UnscriptedRequestError:
    return UnscriptedRequestError(f"nothing is scripted for {request}; add a reply, or a default")
