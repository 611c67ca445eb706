"""How far each answer got, so that a test can hold that nothing leaks."""

from __future__ import annotations

import asyncio
import gc

import pytest

from friendli import AsyncFriendli, SyncFriendli, errors
from friendli.testing import Endpoint, completion, failure, refused

ASK = {"model": "demo", "prompt": "Hi"}
PIECES = completion(["a", "b", "c"])


def states(endpoint):
    return [request.state for request in endpoint.requests]


def test_what_is_read_to_the_end_is_told_so(caller):
    with Endpoint("x", failure(404), PIECES) as endpoint:
        caller.complete()
        with pytest.raises(errors.NotFoundError):
            caller.complete()
        caller.stream()
        assert states(endpoint) == ["read", "read", "read"]
        assert endpoint.open_streams == 0


def test_a_stream_is_open_until_it_is_closed():
    completions = SyncFriendli().dedicated.completions
    with Endpoint(PIECES, PIECES, refused()) as endpoint:
        one, two = completions.stream(**ASK), completions.stream(**ASK)
        next(one)
        assert (states(endpoint), endpoint.open_streams) == (["open", "open"], 2)
        one.close()
        assert (states(endpoint), endpoint.open_streams) == (["closed", "open"], 1)
        two.text()
        assert (states(endpoint), endpoint.open_streams) == (["closed", "read"], 0)
        with pytest.raises(errors.APIConnectionError):
            completions.complete(**ASK, retries=None)
        assert states(endpoint) == ["closed", "read", "unanswered"]


def test_an_async_stream_is_open_until_it_is_closed(running):
    async def main():
        completions = AsyncFriendli().dedicated.completions
        stream = await completions.stream(**ASK)
        await anext(stream)
        assert endpoint.open_streams == 1
        await stream.aclose()
        assert states(endpoint) == ["closed"]
        async with await completions.stream(**ASK) as stream:
            assert await stream.text() == "abc"
            assert states(endpoint) == ["closed", "read"]

    with Endpoint(PIECES, PIECES) as endpoint:
        running(main)


def test_a_dropped_stream_is_closed():
    with Endpoint(PIECES) as endpoint:
        next(SyncFriendli().dedicated.completions.stream(**ASK))
        gc.collect()
        assert states(endpoint) == ["closed"]


def test_a_dropped_async_stream_is_closed_soon():
    async def main():
        await anext(await AsyncFriendli().dedicated.completions.stream(**ASK))
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with Endpoint(PIECES) as endpoint:
        asyncio.run(main())
    assert states(endpoint) == ["closed"]


def test_a_broken_answer_is_told_so_and_is_not_open(caller):
    with Endpoint(completion("a", then="reset")) as endpoint:
        with pytest.raises(errors.StreamTruncatedError):
            caller.stream()
        assert (states(endpoint), endpoint.open_streams) == (["broken"], 0)


def test_what_began_in_the_block_can_be_read_after_it():
    with Endpoint(PIECES) as endpoint:
        stream = SyncFriendli().dedicated.completions.stream(**ASK)
    assert endpoint.open_streams == 1
    assert stream.text() == "abc"
    assert endpoint.open_streams == 0
