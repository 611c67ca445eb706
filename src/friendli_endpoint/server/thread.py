"""Calls kept away from the event loop: the pool for short ones, and threads for those that may never return."""

from __future__ import annotations

import os
import threading
from asyncio import wrap_future
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def worker_pool() -> ThreadPoolExecutor:
    """An event loop's executor with all its threads there from the start: what a server holds does not grow with load.

    As many as asyncio's own would come to have, one by one.
    """
    threads = min(32, (os.cpu_count() or 1) + 4)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="worker")
    meeting = threading.Barrier(threads)
    for _ in range(threads):
        pool.submit(meeting.wait)  # none of them is free for the next one, which so gets a thread of its own
    return pool


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
