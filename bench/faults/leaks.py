"""What streams leave behind in a client's process: memory, sockets, tasks. Runs inside that process."""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from bench.faults.subjects import Subject

    Make: TypeAlias = Callable[[str], Subject]
    Reading: TypeAlias = Callable[[], Awaitable[None]]

FEW = 3  # events read of a stream that is not read to its end
_SETTLE_TRIES = 200
_SETTLE_S = 0.01
_TURNS = 20  # of the loop
_MANY_BYTES = 2**60


def long_stream(make: Make, *, url: str, events: int, run_async: bool) -> dict[str, float]:
    """Memory over streams of `events` events, each dropped as soon as it is read.

    `held`: bytes more per event that Python objects take in the last tenth than in the second. `left`: bytes that
    stay when the stream is dropped. `peak_kib`: growth of the process while the first stream is read; `rss_kib`:
    growth from the end of the second stream to the end of the fourth, once the allocator has settled.
    """
    return asyncio.run(_long(make(url), events, run_async))


async def _long(subject: Subject, events: int, run_async: bool) -> dict[str, float]:
    async def read(seen: Callable[[int], None]) -> None:
        stream = _events(subject, f"tokens {events}", run_async)
        number = 0
        async for event in stream:
            subject.text_of(event)
            number += 1
            seen(number)

    before = rss_kib()
    peak = [before]
    await read(lambda number: peak.append(rss_kib()) if number % 1000 == 0 or number > events else None)
    ends = []
    for _ in range(3):
        await read(lambda number: None)
        ends.append(await _collected(rss_kib))
    traced = await _traced(read, events)
    await _closed(subject)
    return {**traced, "peak_kib": max(peak) - before, "rss_kib": ends[-1] - ends[0]}


async def _traced(read: Callable[[Callable[[int], None]], Awaitable[None]], events: int) -> dict[str, float]:
    # What lies unread in the HTTP library's buffer comes and goes; the least of many readings is without it.
    least: dict[int, int] = {}

    def seen(number: int) -> None:
        tenth = number * 10 // events
        least[tenth] = min(least.get(tenth, _MANY_BYTES), _traced_bytes())

    tracemalloc.start()
    await read(lambda number: None)
    before = await _collected(_traced_bytes)
    await read(seen)
    left = await _collected(_traced_bytes) - before
    tracemalloc.stop()
    return {"held": (least[9] - least[1]) / (events * 8 // 10), "left": left}


def many_streams(make: Make, *, url: str, streams: int, tokens: int, end: str, run_async: bool) -> dict[str, float]:
    """What `streams` streams leave that are each "read" to the end, "closed" or "dropped" after a few events.

    `rss_kib` is how much the process grew, `bytes` how much Python objects take after half as many once more;
    `sockets` and `tasks` are open after them, `sockets_closed` once the client is closed.
    """
    return asyncio.run(_many(make(url), streams, f"tokens {tokens}", end, run_async))


async def _many(subject: Subject, streams: int, prompt: str, end: str, run_async: bool) -> dict[str, float]:
    one = {"read": _to_the_end, "closed": _closed_early, "dropped": _dropped}[end]
    own_sockets, own_tasks = _sockets(), len(asyncio.all_tasks())
    for _ in range(streams // 5):  # warms up
        await one(subject, prompt, run_async)
    before = await _collected(rss_kib)
    for _ in range(streams):
        await one(subject, prompt, run_async)
    # After a stream that was read, an idle connection for the next call is no leak.
    sockets = await _settled(lambda: _sockets() - own_sockets, at_most=int(end == "read"))
    tasks = await _settled(lambda: len(asyncio.all_tasks()) - own_tasks, at_most=0)
    grown = await _collected(rss_kib) - before
    left = await _left(lambda: one(subject, prompt, run_async), streams // 2)
    await _closed(subject)
    closed = await _settled(lambda: _sockets() - own_sockets, at_most=0)
    return {"bytes": left, "rss_kib": grown, "sockets": sockets, "tasks": tasks, "sockets_closed": closed}


async def _left(one: Reading, streams: int) -> float:
    tracemalloc.start()
    for _ in range(20):
        await one()
    before = await _collected(_traced_bytes)
    for _ in range(streams):
        await one()
    left = await _collected(_traced_bytes) - before
    tracemalloc.stop()
    return left


async def _to_the_end(subject: Subject, prompt: str, run_async: bool) -> None:
    async for event in _events(subject, prompt, run_async):
        subject.text_of(event)


async def _closed_early(subject: Subject, prompt: str, run_async: bool) -> None:
    if run_async:
        reading = await subject.opened_async(prompt, None)
        for _ in range(FEW):
            await anext(reading)
        await subject.hang_up_async(reading)
        return
    stream = subject.opened(prompt, None)
    list(islice(stream, FEW))
    stream.close()


async def _dropped(subject: Subject, prompt: str, run_async: bool) -> None:
    if run_async:
        reading = await subject.opened_async(prompt, None)
        for _ in range(FEW):
            await anext(reading)
        del reading
        await asyncio.sleep(0)  # what a program does next
        return
    list(islice(subject.opened(prompt, None), FEW))


async def _events(subject: Subject, prompt: str, run_async: bool) -> AsyncIterator[object]:
    """The events of either kind of stream; the blocking ones block the loop, which has nothing else to do."""
    if run_async:
        async for event in await subject.opened_async(prompt, None):
            yield event
        return
    for event in _blocking(subject, prompt):
        yield event


def _blocking(subject: Subject, prompt: str) -> Iterator[object]:
    yield from subject.opened(prompt, None)


async def _closed(subject: Subject) -> None:
    subject.close()
    await subject.aclose()


async def _settled(count: Callable[[], int], *, at_most: int) -> int:
    """The count once it is at most so much; the loop gets some time to close what was dropped."""
    for _ in range(_SETTLE_TRIES):
        if count() <= at_most:
            break
        await asyncio.sleep(_SETTLE_S)
    return count()


async def _collected(measure: Callable[[], int]) -> int:
    """What is in use when the loop has done what it was asked to do and cycles are gone."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    gc.collect()
    return measure()


def _traced_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


def rss_kib() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _sockets() -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:  # the folder's own descriptor
            continue
    return count
