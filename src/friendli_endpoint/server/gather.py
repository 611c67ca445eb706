"""Brings several sources of events together, in batches of whatever is there."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

T = TypeVar("T")


async def gather(sources: Sequence[AsyncGenerator[T]]) -> AsyncGenerator[list[tuple[int, T]]]:
    """Everything that the sources have given since the last batch, each item with its source's index.

    The order within a source is kept. A source's exception is raised after the items before it. Closing this
    generator closes every source.
    """
    inbox: list[tuple[int, T]] = []
    woken = asyncio.Event()

    async def drain(index: int, source: AsyncGenerator[T]) -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    inbox.append((index, item))
                    woken.set()
        finally:
            woken.set()

    tasks = [asyncio.create_task(drain(index, source)) for index, source in enumerate(sources)]
    try:
        while True:
            await woken.wait()
            woken.clear()
            if inbox:
                batch, inbox = inbox, []
                yield batch
            if not inbox and _all_done(tasks):
                return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _all_done(tasks: Sequence[asyncio.Task[None]]) -> bool:
    """Whether every source has ended; raises what ended one of them."""
    for task in tasks:
        if task.done() and (error := task.exception()):
            raise error
    return all(task.done() for task in tasks)
