"""Servers that answer every call with its own words, and callers who see whether they got theirs.

Every wait has an end, so that a deadlock fails a test instead of holding it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from sdk_stub import LAST_CHUNK, RESULT, SECOND, STREAM_HEAD, Wait, answer, chunk, data, second, serving, streamed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sdk_stub import Asked, Step, Stub

    from friendli import AsyncFriendli, Friendli, SyncFriendli

BODY = {"model": "demo", "prompt": "Hi"}
LATEST = 20  # seconds


def echo(asked: Asked) -> list[Step]:
    """Answers every prompt with itself, in a stream word by word."""
    prompt = asked.json["prompt"]
    if not asked.json.get("stream"):
        return [answer(RESULT | {"choices": [{"index": 0, "text": prompt}]})]
    words = [second(choices=[{"index": 0, "text": f"{word} "}]) for word in prompt.split()]
    return streamed([*words, data(b"[DONE]")])


@contextmanager
def halting() -> Iterator[tuple[Stub, threading.Event]]:
    """A server whose streams come to a halt after their first event, until the event is set; calls are echoed."""
    go_on = threading.Event()

    def script(asked: Asked) -> list[Step]:
        rest = [Wait(go_on), *map(chunk, SECOND[1:]), LAST_CHUNK]
        return [STREAM_HEAD, chunk(SECOND[0]), *rest] if asked.json.get("stream") else echo(asked)

    with serving(script) as stub:
        try:
            yield stub, go_on
        finally:
            go_on.set()


def connections(stub: Stub) -> list[int]:
    """Over which connection each request came."""
    return [asked.connection for asked in stub.asked]


def text_of(client: SyncFriendli | Friendli, **more: object) -> str:
    return client.dedicated.completions.complete(**{**BODY, **more}).choices[0].text


async def text_of_async(client: AsyncFriendli, **more: object) -> str:
    result = await client.dedicated.completions.complete(**{**BODY, **more})
    return result.choices[0].text


def echoed(client: SyncFriendli, number: int, *, leave: bool) -> bool:
    """The call `number`, a stream one time in three, perhaps left half read; whether the answer is its own."""
    prompt = f"word{number} and more"
    if number % 3:
        return text_of(client, prompt=prompt) == prompt
    with client.dedicated.completions.stream(model="demo", prompt=prompt) as stream:
        if leave:
            return next(stream).data.text == f"word{number} "
        return stream.text() == f"{prompt} "


async def echoed_async(client: AsyncFriendli, number: int) -> bool:
    prompt = f"word{number} and more"
    if number % 3:
        return await text_of_async(client, prompt=prompt) == prompt
    async with await client.dedicated.completions.stream(model="demo", prompt=prompt) as stream:
        return await stream.text() == f"{prompt} "


async def all_echoed(client: AsyncFriendli, numbers: range) -> bool:
    """Those calls at once."""
    outcomes = []

    async def one(number: int) -> None:
        outcomes.append(await echoed_async(client, number))

    async with anyio.create_task_group() as group:
        for number in numbers:
            group.start_soon(one, number)
    return outcomes == [True] * len(numbers)


def run_under(backend: str, main: Callable[..., Awaitable[object]], *args: object) -> object:
    """What `main` gives under asyncio or trio."""

    async def bounded() -> object:
        with anyio.fail_after(LATEST):
            return await main(*args)

    return anyio.run(bounded, backend=backend)


async def happens(event: threading.Event) -> bool:
    """Whether `event` is set before it is too late."""
    return await anyio.to_thread.run_sync(event.wait, LATEST)


def in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    """What `work(number)` gives, or raises, in each of `count` threads that begin together."""
    gate = threading.Barrier(count)
    outcomes: list[object] = [None] * count

    def one(number: int) -> None:
        gate.wait(LATEST)
        try:
            outcomes[number] = work(number)
        except BaseException as error:
            outcomes[number] = error

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LATEST)
    assert not [thread for thread in threads if thread.is_alive()]
    return outcomes
