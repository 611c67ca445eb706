"""Event loops of either async library: which one runs, the client of each, closing something on one from outside."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

    import httpx2

    from friendli._transport.network import Network


class AsyncClosable(Protocol):
    """What is closed by awaiting."""

    async def aclose(self) -> None:
        """Close it."""


_closing: set[asyncio.Task[None]] = set()  # asyncio itself keeps no strong reference to its tasks


def running_loop() -> object:
    """The running loop: asyncio's, or trio's token."""
    import anyio.lowlevel

    return anyio.lowlevel.current_token().native_token


def is_over(loop: object) -> bool:
    """Whether nothing can run on the loop any more, as far as it tells."""
    ended = getattr(loop, "is_closed", None)
    return ended is not None and bool(ended())


def is_trio(loop: object) -> bool:
    """Whether it is trio's."""
    return not hasattr(loop, "call_soon_threadsafe")


def close_soon(loop: object, closable: AsyncClosable) -> None:
    """Close what was dropped without a chance to await; from any thread."""
    if is_trio(loop):
        _close_soon_under_trio(loop, closable)
        return
    with suppress(RuntimeError):  # the loop is closed, and its connections with it
        loop.call_soon_threadsafe(_close, loop, closable)  # type: ignore[attr-defined]


def _close(loop: asyncio.AbstractEventLoop, closable: AsyncClosable) -> None:
    task = loop.create_task(closable.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _close_soon_under_trio(token: object, closable: AsyncClosable) -> None:
    import trio

    async def close() -> None:
        with suppress(Exception):
            await closable.aclose()

    def begin() -> None:
        with suppress(RuntimeError):  # the run is about to end, and takes no new tasks
            trio.lowlevel.spawn_system_task(close)

    with suppress(trio.RunFinishedError):
        token.run_sync_soon(begin)  # type: ignore[attr-defined]


class ClientsOfLoops:
    """One client per event loop: connections can't be used from another one."""

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[object, tuple[Network, httpx2.AsyncClient]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def client(self, world: Network) -> httpx2.AsyncClient:
        """The client of the running loop."""
        loop = running_loop()
        with self._lock:
            known = self._open.get(loop)
            if known is not None and known[0] is world:
                return known[1]
            if known is not None:
                close_soon(loop, known[1])
            self._forget_the_closed()
            client = world.async_client()
            self._open[loop] = world, client
            return client

    async def aclose(self) -> None:
        """Close them all; those of other loops soon."""
        with self._lock:
            own = self._open.pop(running_loop(), None)
        if own is not None:
            await own[1].aclose()
        self.close_soon()

    def close_soon(self) -> None:
        """Close them, each on its loop; from any thread."""
        with self._lock:
            left = list(self._open.items())
            self._open.clear()
        for loop, (_, client) in left:
            close_soon(loop, client)

    def _forget_the_closed(self) -> None:
        """The connections of a loop refer to it, so that it would be kept for ever."""
        for loop in list(self._open):
            if is_over(loop):
                del self._open[loop]
