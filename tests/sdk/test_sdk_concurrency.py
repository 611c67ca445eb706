"""Many tasks at once under asyncio and under trio, and calls that are given up half-way."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from concurrency_kit import BODY, all_echoed, connections, echo, happens, run_under, text_of, text_of_async
from sdk_stub import SECOND, STREAM_HEAD, answer, chunk, serving

from friendli import AsyncFriendli, Friendli
from friendli.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    """Runs an async function under one of the two libraries."""
    return partial(run_under, request.param)


def endless(_asked):
    yield STREAM_HEAD
    while True:
        yield chunk(SECOND[0])


def test_calls_and_streams_use_one_connection_one_after_the_other(run):
    async def main(url):
        async with AsyncFriendli(server_url=url) as client:
            first = await text_of_async(client)
            stream = await client.dedicated.completions.stream(**BODY)
            return [first, await stream.text(), await text_of_async(client)]

    with serving(echo) as stub:
        assert run(main, stub.url) == ["Hi", "Hi ", "Hi"]
    assert connections(stub) == [0, 0, 0]


def test_a_client_of_both_kinds_can_be_used_in_both_ways_at_once(run):
    async def main(url):
        async with Friendli(server_url=url) as client:
            waited = await client.dedicated.completions.complete_async(**BODY)
            return waited.choices[0].text, await anyio.to_thread.run_sync(text_of, client)

    with serving(echo) as stub:
        assert run(main, stub.url) == ("Hi", "Hi")


@pytest.mark.parametrize("how", ["close", "block"])
def test_a_stream_that_is_left_early_hangs_up(run, how):
    async def main(stub):
        async with AsyncFriendli(server_url=stub.url) as client:
            async with await client.dedicated.completions.stream(**BODY) as stream:
                await anext(stream)
                if how == "close":
                    await stream.aclose()
                    assert [event async for event in stream] == []
            assert await happens(stub.gone)

    with serving(endless) as stub:
        run(main, stub)


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio closes it, but says that one should have
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_that_is_dropped_hangs_up(backend, begun):
    async def main(stub):
        async with AsyncFriendli(server_url=stub.url) as client:
            stream = await client.dedicated.completions.stream(**BODY)
            if begun:
                await anext(stream)
            del stream
            assert await happens(stub.gone)

    with serving(endless) as stub:
        run_under(backend, main, stub)


def test_of_a_hundred_tasks_each_gets_its_own_answer(run):
    async def main(url):
        async with AsyncFriendli(server_url=url) as client:
            return await all_echoed(client, range(100))

    with serving(echo) as stub:
        assert run(main, stub.url)
    assert len(stub.asked) == 100


@contextmanager
def deaf() -> Iterator[str]:
    """An address at which no connection comes about: the queue of its listener is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


async def give_up(call, reached) -> None:
    """Cancel `call` once `reached` has come about and every task waits for something."""
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await reached()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()


def test_a_call_can_be_given_up_while_it_connects(run):
    async def main(nowhere, url):
        begun = anyio.Event()
        async with AsyncFriendli(server_url=nowhere, hooks=Hooks(request=lambda _: begun.set())) as client:
            await give_up(partial(text_of_async, client), begun.wait)
            return await text_of_async(client, server_url=url)

    with deaf() as nowhere, serving(echo) as stub:
        assert run(main, nowhere, stub.url) == "Hi"


def test_a_call_can_be_given_up_while_it_waits_for_its_answer(run):
    async def main(slow, url):
        async with AsyncFriendli(server_url=slow.url) as client:
            await give_up(partial(text_of_async, client), partial(happens, asked))
            assert await happens(slow.gone)
            return await text_of_async(client, server_url=url)

    def silent(_asked):
        asked.set()
        return []

    asked = threading.Event()
    with serving(silent) as slow, serving(echo) as stub:
        assert run(main, slow, stub.url) == "Hi"
    assert len(slow.asked) == 1


def test_a_call_can_be_given_up_while_it_waits_to_try_again(run):
    async def main(busy, url):
        waiting = anyio.Event()
        async with AsyncFriendli(server_url=busy.url, hooks=Hooks(retry=lambda _: waiting.set())) as client:
            await give_up(partial(text_of_async, client), waiting.wait)
            return await text_of_async(client, server_url=url)

    with serving(lambda _: [answer({}, 503, retry_after="60")]) as busy, serving(echo) as stub:
        assert run(main, busy, stub.url) == "Hi"
    assert len(busy.asked) == 1


def test_a_stream_can_be_given_up_while_it_is_read(run):
    async def main(slow, url):
        reading = anyio.Event()

        async def read(client):
            async for _ in await client.dedicated.completions.stream(**BODY):
                reading.set()

        async with AsyncFriendli(server_url=slow.url) as client:
            await give_up(partial(read, client), reading.wait)
            assert await happens(slow.gone)
            return await text_of_async(client, server_url=url)

    with serving(lambda _: [STREAM_HEAD, chunk(SECOND[0])]) as slow, serving(echo) as stub:
        assert run(main, slow, stub.url) == "Hi"
