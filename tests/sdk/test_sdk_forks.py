"""A client that is used before and after a fork: the child touches nothing of the parent's, and waits for nothing."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading

import anyio
import pytest
from concurrency_kit import BODY, connections, echo, halting, happens, run_under, text_of, text_of_async
from fork_kit import LATEST, forking, held_by_another_thread, in_child, locks_of
from sdk_stub import serving

from friendli import AsyncFriendli, Friendli, SyncFriendli, errors

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

WAYS = ["keep", "close", "drop"]


def leave(streams, how):
    """What a child may do with the streams of its parent."""
    for stream in streams if how == "close" else ():
        stream.close()
    if how == "drop":
        streams.clear()
        gc.collect()


def test_a_child_opens_its_own_connection_and_the_parent_goes_on_with_its_own(capfd):
    with serving(echo) as stub, SyncFriendli(server_url=stub.url) as client:
        text_of(client)
        assert in_child(lambda: [text_of(client, prompt="child"), text_of(client)]) == ["child", "Hi"]
        text_of(client)
    assert connections(stub) == [0, 1, 1, 0]
    assert capfd.readouterr().err == ""


def test_a_child_of_a_child_has_its_own_connection_too():
    with serving(echo) as stub, SyncFriendli(server_url=stub.url) as client:
        text_of(client)
        assert in_child(lambda: [text_of(client), in_child(lambda: text_of(client)), text_of(client)]) == ["Hi"] * 3
        text_of(client)
    assert connections(stub) == [0, 1, 2, 1, 0]


def test_a_child_that_closes_the_client_leaves_the_parent_its_connection():
    with serving(echo) as stub, SyncFriendli(server_url=stub.url) as client:
        text_of(client)
        in_child(client.close)
        text_of(client)
    assert connections(stub) == [0, 0]


@pytest.mark.parametrize("how", WAYS)
def test_a_stream_that_is_half_read_at_the_fork_goes_on_in_the_parent(how):
    def child():
        leave(streams, how)
        return text_of(client)

    with halting() as (stub, go_on), SyncFriendli(server_url=stub.url) as client:
        streams = [client.dedicated.completions.stream(**BODY)]
        next(streams[0])
        assert in_child(child) == "Hi"
        go_on.set()
        assert streams[0].text() == "Hello you"
        text_of(client)
    assert connections(stub) == [0, 1, 0]


def test_a_child_cannot_read_on_in_a_stream_of_its_parent():
    def child():
        with pytest.raises(errors.StreamTruncatedError, match="process") as caught:
            stream.text()
        return caught.value.text

    with halting() as (stub, go_on), SyncFriendli(server_url=stub.url) as client:
        stream = client.dedicated.completions.stream(**BODY)
        next(stream)
        assert in_child(child) == "Hello"
        go_on.set()
        assert stream.text() == "Hello you"


def test_children_of_a_parent_whose_threads_are_calling():
    def call(number):
        prompt = f"thread{number}"
        while not over.is_set():
            right.append(text_of(client, prompt=prompt) == prompt)
            right.append(client.dedicated.completions.stream(model="demo", prompt=prompt).text() == f"{prompt} ")

    over, right = threading.Event(), []
    with serving(echo) as stub, SyncFriendli(server_url=stub.url) as client:
        threads = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(6)]
        for thread in threads:
            thread.start()
        try:
            assert [in_child(lambda: text_of(client, prompt="child")) for _ in range(12)] == ["child"] * 12
        finally:
            over.set()
        for thread in threads:
            thread.join(LATEST)
        assert not any(thread.is_alive() for thread in threads)
    assert right
    assert all(right)


@pytest.mark.parametrize("how", WAYS)
def test_a_child_waits_for_no_lock_that_another_thread_of_its_parent_held(how):
    async def child_async():
        result = await client.dedicated.completions.complete_async(**BODY)
        await client.aclose()
        return result.choices[0].text

    def child():
        leave(streams, how)
        return [text_of(client), asyncio.run(child_async())]

    with halting() as (stub, _), Friendli(server_url=stub.url) as client:
        text_of(client)
        streams = [client.dedicated.completions.stream(**BODY)]
        next(streams[0])
        locks = locks_of(client)
        assert len(locks) >= 3  # ours, that of the retry budget, those of the HTTP library
        with held_by_another_thread(locks):
            assert in_child(child) == ["Hi", "Hi"]
        streams[0].close()


def test_processes_of_multiprocessing_share_a_client():
    def work(prompt):
        results.put(text_of(client, prompt=prompt))

    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    prompts = [f"child {number}" for number in range(4)]
    with serving(echo) as stub, SyncFriendli(server_url=stub.url) as client:
        text_of(client)
        children = [context.Process(target=work, args=(prompt,), daemon=True) for prompt in prompts]
        with forking():
            for child in children:
                child.start()
        for child in children:
            child.join(LATEST)
            assert child.exitcode == 0
        assert sorted(results.get() for _ in children) == prompts
        text_of(client)
    results.close()
    assert sorted(connections(stub)) == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("how", ["keep", "close"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_event_loop_in_another_thread_goes_on_in_the_parent_alone(backend, how):
    """At the fork it is in the middle of a stream."""

    async def parent():
        async with AsyncFriendli(server_url=stub.url) as client:
            stream = await client.dedicated.completions.stream(**BODY)
            await anext(stream)
            shared.extend([client, stream])
            reading.set()
            await happens(forked)
            texts.extend([await stream.text(), await text_of_async(client)])

    async def child():
        client, stream = shared
        async with client:
            if how == "close":
                await stream.aclose()
            return await text_of_async(client)

    shared, texts, reading, forked = [], [], threading.Event(), threading.Event()
    with halting() as (stub, go_on):
        thread = threading.Thread(target=anyio.run, args=(parent,), kwargs={"backend": backend}, daemon=True)
        thread.start()
        assert reading.wait(LATEST)
        try:
            assert in_child(lambda: run_under(backend, child)) == "Hi"
        finally:
            go_on.set()
            forked.set()
            thread.join(LATEST)
    assert texts == ["Hello you", "Hi"]
    assert connections(stub) == [0, 1, 0]


def test_a_child_that_is_forked_inside_a_coroutine_uses_the_client_in_its_own_event_loop():
    async def child():
        async with client:
            return await text_of_async(client, prompt="child")

    async def parent():
        async with client:
            await text_of_async(client)
            return in_child(lambda: asyncio.run(child())), await text_of_async(client)

    with serving(echo) as stub:
        client = AsyncFriendli(server_url=stub.url)
        assert asyncio.run(parent()) == ("child", "Hi")
    assert connections(stub) == [0, 1, 0]
