"""Streams over a real connection: both shapes, every way to end, and what happens to the connection."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from sdk_stub import (
    FIRST,
    LAST_CHUNK,
    RESULT,
    SECOND,
    STREAM_HEAD,
    USAGE,
    Close,
    Reset,
    Wait,
    answer,
    chunk,
    data,
    second,
    serving,
    streamed,
)

from friendli import AsyncFriendli, SyncFriendli, errors, models

BODY = {"model": "demo", "prompt": "hi", "max_tokens": 2}
SHAPES = pytest.mark.parametrize("events", [FIRST, SECOND], ids=["first generation", "second generation"])
ENDS = pytest.mark.parametrize("end", [Close, Reset], ids=["close", "reset"])


def texts(events: list[models.StreamedCompletionsResult]) -> list[str]:
    return [event.data.text for event in events if event.data.event == "token_sampled"]


@SHAPES
def test_both_shapes_give_the_same_events_and_the_whole_at_the_end(caller, events):
    with serving(lambda _: streamed(events)) as stub:
        *tokens, end = caller(server_url=stub.url).events(**BODY)
    assert [(e.data.event, e.data.index, e.data.text, e.data.token) for e in tokens] == [
        ("token_sampled", 0, "Hello", 1),
        ("token_sampled", 0, " you", 2),
    ]
    choice = end.data.choices[0]
    assert (end.data.event, choice.text, choice.tokens, choice.seed) == ("complete", "Hello you", [1, 2], 7)
    assert end.data.usage.model_dump(exclude_unset=True) == USAGE
    assert stub.asked[0].headers["accept"] == "text/event-stream"


@SHAPES
def test_the_bytes_may_come_in_any_pieces(caller, events):
    whole = b"".join(streamed(events))[len(STREAM_HEAD) :]
    with serving(lambda _: [STREAM_HEAD, *(whole[at : at + 1] for at in range(len(whole)))]) as stub:
        assert texts(caller(server_url=stub.url).events(**BODY)) == ["Hello", " you"]


def test_a_finish_reason_that_says_null_is_none(caller):
    pieces = [second(choices=[{"index": 0, "text": text, "finish_reason": "null"}]) for text in ("a", "b")]
    with serving(lambda _: streamed([*pieces, data(b"[DONE]")])) as stub:
        events = caller(server_url=stub.url).events(**BODY)
    assert [(choice.text, choice.finish_reason) for choice in events[-1].data.choices] == [("ab", None)]


def test_choices_may_interleave_and_end_at_different_times(caller):
    events = [
        second(choices=[{"index": 1, "text": "b", "token": 2}, {"index": 0, "text": "a", "token": 1}]),
        second(choices=[{"index": 0, "text": "", "finish_reason": "stop", "seed": 4}]),
        second(choices=[{"index": 1, "text": "c", "token": 3, "finish_reason": "length", "seed": 5}]),
        data(b"[DONE]"),
    ]
    with serving(lambda _: streamed(events)) as stub:
        *tokens, end = caller(server_url=stub.url).events(**BODY, n=2)
    assert texts(tokens) == ["b", "a", "c"]
    assert [(c.index, c.text, c.finish_reason, c.seed) for c in end.data.choices] == [
        (0, "a", "stop", 4),
        (1, "bc", "length", 5),
    ]
    assert end.data.usage is None


@pytest.mark.parametrize("options", [{"include_usage": False}, {}])
def test_the_usage_is_asked_for_unless_the_caller_says_otherwise(caller, options):
    with serving(lambda _: streamed(SECOND)) as stub:
        client = caller(server_url=stub.url)
        client.events(**BODY)
        client.events(**BODY, stream_options=options)
        client.events(dedicated_completions_stream_body=models.DedicatedCompletionsStreamBody(**BODY))
    assert [asked.json["stream_options"] for asked in stub.asked] == [
        {"include_usage": True},
        options,
        {"include_usage": True},
    ]
    assert {asked.json["stream"] for asked in stub.asked} == {True}


def test_comments_and_log_probabilities_pass_through(caller):
    logprobs = {"text_offset": [0], "token_logprobs": [-0.5], "tokens": ["a"], "top_logprobs": [{"a": -0.5}]}
    events = [
        b": still here\n\n",
        second(choices=[{"index": 0, "text": "a", "token": 1, "logprobs": logprobs}]),
        data(b"[DONE]"),
    ]
    with serving(lambda _: streamed(events)) as stub:
        token, end = caller(server_url=stub.url).events(**BODY, logprobs=1)
    assert token.data.logprobs.model_dump() == end.data.choices[0].logprobs.model_dump() == logprobs


# Ends that are not the end


@SHAPES
@ENDS
def test_a_stream_that_breaks_anywhere_is_an_error_with_exactly_the_text_so_far(caller, events, end):
    body = b"".join(events[:2])
    for cut in range(0, len(body) + 1, 13):
        with serving(lambda _, cut=cut: [STREAM_HEAD, *([chunk(body[:cut])] if cut else []), end]) as stub:
            client = caller(server_url=stub.url)
            with pytest.raises(errors.StreamTruncatedError) as caught:
                client.events(**BODY)
        error = caught.value
        assert error.text == "".join(texts(client.events.seen))
        assert end is Reset or error.text == ("Hello" if cut >= len(events[0]) else "") + (
            " you" if cut == len(body) else ""
        )
        assert (error.status_code, error.request_id) == (200, "req-7")
        assert len(stub.asked) == 1


def test_a_clean_end_without_the_last_event_is_an_error_too(caller):
    cut = pytest.raises(errors.StreamTruncatedError, match="without its last event")
    with serving(lambda _: streamed(SECOND[:-1])) as stub, cut as caught:
        caller(server_url=stub.url).events(**BODY)
    assert (caught.value.text, caught.value.choices[0].finish_reason) == ("Hello you", "length")


def test_a_stream_that_falls_silent_is_an_error_with_the_text_so_far(caller):
    release = threading.Event()
    with serving(lambda _: [STREAM_HEAD, chunk(SECOND[0]), Wait(release)]) as stub:
        with pytest.raises(errors.StreamTruncatedError, match="silent") as caught:
            caller(server_url=stub.url).events(**BODY, timeout_ms=50)
        release.set()
    assert caught.value.text == "Hello"
    assert caught.value.__cause__ is not None


def test_an_error_inside_a_stream_is_the_endpoints_error_after_the_tokens_before_it(caller):
    failed = data({"error": {"message": "the engine died", "type": "engine", "field": None, "request_id": "req-8"}})
    with serving(lambda _: [STREAM_HEAD, chunk(SECOND[0] + failed), LAST_CHUNK]) as stub:
        client = caller(server_url=stub.url)
        with pytest.raises(errors.APIStreamError, match="the engine died") as caught:
            client.events(**BODY)
    assert texts(client.events.seen) == ["Hello"]
    assert (caught.value.text, caught.value.type, caught.value.request_id) == ("Hello", "engine", "req-8")
    assert isinstance(caught.value, errors.APIError)


@pytest.mark.parametrize(
    "event",
    [
        data(b"{"),
        data(b"[1]"),
        data({"foo": 1}),
        data({"choices": [5]}),
        data({"choices": [{"text": "a"}]}),
        data({"choices": [{"index": 0, "text": 5, "token": 1}]}),
        data({"choices": [], "usage": {"prompt_tokens": "x"}}),
        data({"event": "token_sampled", "text": "a"}),
        data({"event": "complete"}),
    ],
)
def test_an_event_that_does_not_fit_is_its_own_error(caller, event):
    with serving(lambda _: streamed([SECOND[0], event])) as stub:
        client = caller(server_url=stub.url)
        with pytest.raises(errors.InvalidResponseError) as caught:
            client.events(**BODY)
    assert texts(client.events.seen) == ["Hello"]
    assert caught.value.request_id == "req-7"


def test_an_error_status_on_a_stream_is_the_typed_error(caller):
    refused = answer({"error": {"message": "no"}}, 401)
    with serving(lambda _: [refused]) as stub, pytest.raises(errors.AuthenticationError):
        caller(server_url=stub.url).events(**BODY)


# The connection


def test_after_the_end_the_connection_is_used_again():
    with serving(lambda _: streamed(SECOND)) as stub, SyncFriendli(server_url=stub.url) as client:
        for _ in range(3):
            list(client.dedicated.completions.stream(**BODY))
    assert [asked.connection for asked in stub.asked] == [0, 0, 0]


def test_after_the_end_the_connection_is_used_again_async():
    async def thrice(url: str) -> None:
        async with AsyncFriendli(server_url=url) as client:
            for _ in range(3):
                assert len([event async for event in await client.dedicated.completions.stream(**BODY)]) == 3

    with serving(lambda _: streamed(SECOND)) as stub:
        asyncio.run(thrice(stub.url))
    assert [asked.connection for asked in stub.asked] == [0, 0, 0]


def test_a_server_that_does_not_stop_after_the_end_cannot_hold_the_caller(caller):
    release = threading.Event()
    with serving(lambda _: [STREAM_HEAD, *map(chunk, SECOND), Wait(release)]) as stub:
        assert len(caller(server_url=stub.url).events(**BODY)) == 3
        release.set()


def endless(_asked):
    yield STREAM_HEAD
    while True:
        yield chunk(SECOND[0])


def test_a_closed_stream_ends_at_once_and_hangs_up():
    with serving(endless) as stub, SyncFriendli(server_url=stub.url) as client:
        stream = client.dedicated.completions.stream(**BODY)
        next(stream)
        stream.close()
        stream.close()
        assert list(stream) == []
        assert stub.gone.wait(20)


@pytest.mark.parametrize("begun", [False, True])
def test_leaving_the_block_hangs_up(begun):
    with serving(endless) as stub, SyncFriendli(server_url=stub.url) as client:
        with client.dedicated.completions.stream(**BODY) as stream:
            assert stream.request_id == "req-7"
            if begun:
                next(stream)
        assert stub.gone.wait(20)


@pytest.mark.parametrize("begun", [False, True])
def test_an_abandoned_stream_hangs_up_without_a_collection(begun):
    gc.disable()
    try:
        with serving(endless) as stub, SyncFriendli(server_url=stub.url) as client:
            stream = client.dedicated.completions.stream(**BODY)
            if begun:
                next(stream)
            del stream
            assert stub.gone.wait(20)
    finally:
        gc.enable()


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("how", ["close", "block", "abandon"])
def test_an_async_stream_hangs_up_when_closed_left_or_abandoned(how, begun):
    async def leave(stub) -> None:
        async with AsyncFriendli(server_url=stub.url) as client:
            stream = await client.dedicated.completions.stream(**BODY)
            if begun:
                await anext(stream)
            if how == "close":
                await stream.aclose()
                assert [event async for event in stream] == []
            elif how == "block":
                async with stream:
                    pass
            del stream
            assert await asyncio.to_thread(stub.gone.wait, 20)

    with serving(endless) as stub:
        asyncio.run(leave(stub))


def test_a_cancelled_stream_hangs_up():
    async def cancelled(stub) -> None:
        async with AsyncFriendli(server_url=stub.url) as client:

            async def read() -> None:
                async for _ in await client.dedicated.completions.stream(**BODY):
                    reading.set()

            reading = asyncio.Event()
            task = asyncio.create_task(read())
            await reading.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(stub.gone.wait, 20)

    with serving(endless) as stub:
        asyncio.run(cancelled(stub))


def test_one_async_client_may_be_used_in_several_event_loops():
    with serving(lambda _: [answer(RESULT)]) as stub:
        client = AsyncFriendli(server_url=stub.url)

        async def once(*, close: bool) -> str:
            result = await client.dedicated.completions.complete(**BODY)
            if close:
                await client.aclose()
            return result.choices[0].text

        assert asyncio.run(once(close=True)) == "Hello you"
        assert asyncio.run(once(close=True)) == "Hello you"


def test_a_stream_outlives_the_name_of_its_client():
    with serving(lambda _: streamed(SECOND)) as stub:
        assert len(list(SyncFriendli(server_url=stub.url).dedicated.completions.stream(**BODY))) == 3


def test_an_async_stream_outlives_the_name_of_its_client():
    async def temporary(stub) -> None:
        stream = await AsyncFriendli(server_url=stub.url).dedicated.completions.stream(**BODY)
        assert len([event async for event in stream]) == 3
        del stream
        assert await asyncio.to_thread(stub.gone.wait, 20)

    with serving(lambda _: streamed(SECOND)) as stub:
        asyncio.run(temporary(stub))


def test_a_client_that_is_dropped_hangs_up():
    async def dropped(stub) -> None:
        await AsyncFriendli(server_url=stub.url).dedicated.completions.complete(**BODY)
        gc.collect()
        assert await asyncio.to_thread(stub.gone.wait, 20)

    with serving(lambda _: [answer(RESULT)]) as stub:
        SyncFriendli(server_url=stub.url).dedicated.completions.complete(**BODY)
        gc.collect()
        assert stub.gone.wait(20)
    with serving(lambda _: [answer(RESULT)]) as stub:
        asyncio.run(dropped(stub))
