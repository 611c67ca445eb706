"""Slow calls that may never return, kept away from the event loop and from the threads that tokenize."""

from __future__ import annotations

import threading
from asyncio import wrap_future
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T]) -> T:
    """What `work` gives, from a thread of its own, which nobody waits for when the caller gives up or the process ends.

    The event loop's executor would not do: its few threads serve requests, and it is waited for in the end.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    outcome.set_running_or_notify_cancel()  # from here on a cancelled caller does not touch it
    threading.Thread(target=run, name="adapter source", daemon=True).start()
    return await wrap_future(outcome)
