"""Event loops of either async library: which one runs, and how to close something on one from outside."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio


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
