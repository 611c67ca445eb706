"""Time that costs none: delays, timeouts, and who waits for whom."""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx2
import pytest

from friendli import AsyncFriendli, SyncFriendli, errors, utils
from friendli.testing import EndlessWaitError, Endpoint, completion, failure, raw

ASK = {"model": "demo", "prompt": "Hi"}
NO_RETRY = {"retry_config": None}


def test_a_delay_passes_at_once_and_exactly(caller):
    with Endpoint(completion("Hello", delay=500)):
        caller.complete()
    assert caller.elapsed == 500


def test_pieces_come_at_their_pace(caller):
    with Endpoint(completion(["a", "b", "c"], delay=10, pace=2.5)):
        assert caller.stream().choices[0].text == "abc"
    assert caller.elapsed == 15


def test_the_time_to_the_first_token_is_the_delay():
    with Endpoint(completion(["a", "b"], delay=0.25, pace=2)):
        stream = SyncFriendli().dedicated.completions.stream(**ASK)
        assert stream.time_to_first_token is None
        next(stream)
        assert stream.time_to_first_token == 0.25
        stream.text()
        assert stream.time_to_first_token == 0.25


@pytest.mark.parametrize(("delay", "in_time"), [(1.5, True), (1.6, False), (math.inf, False)])
def test_an_answer_that_takes_longer_than_the_call_may_is_a_timeout_at_that_moment(caller, delay, in_time):
    with Endpoint(completion("Hello", delay=delay)):
        if in_time:
            caller.complete(timeout_ms=1500)
        else:
            with pytest.raises(errors.APITimeoutError) as caught:
                caller.complete(timeout_ms=1500)
            assert isinstance(caught.value.__cause__, httpx2.ReadTimeout)
    assert caller.elapsed == 1.5


def test_a_silence_of_a_stream_longer_than_allowed_ends_it_at_that_moment(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=3000)
    with Endpoint(completion(["a", "b"], delay=3, pace=3.5)), pytest.raises(errors.StreamTruncatedError) as caught:
        caller.stream(timeout_ms=timeout)
    assert caught.value.text == "a"
    assert caller.elapsed == 6


def test_a_stall_lasts_as_long_as_the_client_bears_silence(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=3000)
    with Endpoint(completion(["a", "b"], pace=1, then="stall")), pytest.raises(errors.StreamTruncatedError):
        caller.stream(timeout_ms=timeout)
    assert caller.elapsed == 4


def test_a_stream_longer_than_allowed_in_all_is_cut_there(caller):
    timeout = utils.TimeoutConfig(stream_total_ms=10_000)
    with Endpoint(completion("x " * 20, pace=3)), pytest.raises(errors.SDKError) as caught:
        caller.stream(timeout_ms=timeout)
    assert caught.value.text == "x x x x"
    assert caller.elapsed == 12


def test_silences_add_up_where_nothing_comes_between_them():
    with Endpoint(raw([b"a", b"b"], pace=2, chunk_bytes=2)).http_client() as client:
        assert client.get("https://h.example", timeout=2).content == b"ab"
    with (
        Endpoint(raw([b"a", b"", b"b"], pace=2, chunk_bytes=2)).http_client() as client,
        pytest.raises(httpx2.ReadTimeout),
    ):
        client.get("https://h.example", timeout=3)


def test_the_waits_of_retries_count_against_the_call(caller):
    with Endpoint(failure(503, retry_after=100)), pytest.raises(errors.InternalServerError):
        caller.complete(timeout_ms=50_000)
    assert caller.elapsed == 0


def test_a_client_that_would_wait_for_ever_is_told():
    with (
        Endpoint(completion("x", delay=math.inf)).http_client() as client,
        pytest.raises(EndlessWaitError, match="no read timeout"),
    ):
        client.post("https://h.example", json={}, timeout=None)


def test_threads_do_not_make_each_other_late():
    """Each waits for 90 s at a time, of the 100 s that its call may take."""
    client = SyncFriendli(timeout_ms=100_000)
    barrier = threading.Barrier(8)

    def call(number):
        barrier.wait(20)
        return client.dedicated.completions.complete(**ASK).choices[0].text

    with Endpoint(default=completion("x", delay=90)) as endpoint, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(call, range(8))) == ["x"] * 8
        assert endpoint.elapsed == 0


def test_tasks_do_not_make_each_other_late_and_answers_come_in_the_order_of_their_times(running):
    client = AsyncFriendli(retry_config=None, timeout_ms=20_000)
    order = []

    async def call(prompt):
        try:
            await client.dedicated.completions.complete(model="demo", prompt=prompt)
        except errors.APITimeoutError:
            order.append(f"late {prompt}")
        else:
            order.append(prompt)

    async def all_of(*prompts):
        async with anyio.create_task_group() as tasks:
            for prompt in prompts:
                tasks.start_soon(call, prompt)

    with Endpoint(default=lambda request: completion("x", delay=float(request.prompt))) as endpoint:
        running(all_of, "15", "3", "40", "3.5", "1", "19", "0")
        assert order == ["0", "1", "3", "3.5", "15", "19", "late 40"]
    assert {request.at for request in endpoint.requests} == {0}


def test_streams_of_several_tasks_interleave_by_their_times(running):
    client = AsyncFriendli()
    seen = []

    async def read(prompt):
        async for event in await client.dedicated.completions.stream(model="demo", prompt=prompt):
            if event.data.event == "token_sampled":
                seen.append(event.data.text)  # noqa: PERF401 - both tasks fill it

    async def both():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, "slow")
            tasks.start_soon(read, "fast")

    def answer(request):
        if request.prompt == "slow":
            return completion(["s1", "s4", "s7"], delay=1, pace=3)
        return completion(["f2", "f2.9", "f3.8", "f4.7", "f5.6"], delay=2, pace=0.9)

    with Endpoint(default=answer):
        running(both)
    assert seen == ["s1", "f2", "f2.9", "f3.8", "s4", "f4.7", "f5.6", "s7"]


def test_the_first_of_two_answers_can_cancel_the_other(running):
    client = AsyncFriendli()
    got = []

    async def call(prompt, scope):
        await client.dedicated.completions.complete(model="demo", prompt=prompt)
        got.append(prompt)
        scope.cancel()

    async def race():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "9", tasks.cancel_scope)
            tasks.start_soon(call, "2", tasks.cancel_scope)
        await client.dedicated.completions.complete(model="demo", prompt="1")

    with Endpoint(default=lambda request: completion("x", delay=float(request.prompt))) as endpoint:
        running(race)
    assert got == ["2"]
    assert len(endpoint.requests) == 3


def test_waiting_lets_other_tasks_run(running):
    """Even without a delay, and between the pieces of a stream."""
    client = AsyncFriendli()
    turns = [0]

    async def other(scope):
        with scope:
            while True:
                turns[0] += 1
                await anyio.lowlevel.checkpoint()

    async def main():
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other, scope)
            await (await client.dedicated.completions.stream(**ASK)).text()
            scope.cancel()

    with Endpoint(completion(["a", "b", "c"])):
        running(main)
    assert turns[0] >= 5  # the head, three pieces, the end, [DONE]: trio may leave out one turn


def test_a_task_goes_on_from_the_time_of_the_one_that_started_it():
    async def main():
        client = AsyncFriendli()
        await client.dedicated.completions.complete(**ASK)
        await asyncio.create_task(client.dedicated.completions.complete(**ASK))
        return endpoint.elapsed

    with Endpoint(default=completion("x", delay=2)) as endpoint:
        assert asyncio.run(main()) == 2
    assert [request.at for request in endpoint.requests] == [0, 2]


def test_each_endpoint_begins_at_zero(caller):
    for _ in range(2):
        with Endpoint(completion("x", delay=2)) as endpoint:
            assert endpoint.elapsed == 0
            caller.complete()
            assert caller.elapsed == 2


def test_a_wait_that_is_cancelled_does_not_hold_up_the_others(running):
    client = AsyncFriendli(timeout_ms=10**7)

    async def call(prompt):
        await client.dedicated.completions.complete(model="demo", prompt=prompt)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "5")
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call("1")
            tasks.start_soon(call, "6")

    with Endpoint(default=lambda request: completion("x", delay=float(request.prompt))) as endpoint:
        running(main)
    assert sorted(request.state for request in endpoint.requests)[:2] == ["read", "read"]
