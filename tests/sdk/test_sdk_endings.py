"""How calls and streams end: what hooks are told, what becomes of the connection, and who may end them."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
import weakref
from functools import partial

import anyio
import httpx2
import pytest
from concurrency_kit import (
    BODY,
    LATEST,
    connections,
    echo,
    halting,
    happens,
    in_threads,
    run_under,
    text_of,
    text_of_async,
)
from fork_kit import in_child
from sdk_stub import RESULT, SECOND, STREAM_HEAD, chunk, data, serving, streamed
from sdk_worlds import World

from friendli import AsyncFriendli, SyncFriendli, errors
from friendli._transport import network
from friendli.hooks import EndEvent, ErrorEvent, Hooks
from friendli.testing import Endpoint, failure, raw

ASKED = {"model": "demo", "prompt": "Hi"}


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    """Runs an async function under one of the two libraries."""
    return partial(run_under, request.param)


def to_the_last_event(stream):
    """Read as most do: no further than the event that says so."""
    for event in stream:
        if event.data.event == "complete":
            return


async def to_the_last_event_async(stream):
    async for event in stream:
        if event.data.event == "complete":
            return


# What hooks are told


@pytest.mark.parametrize("raised", [httpx2.ConnectError("down"), OverflowError("many"), ValueError("odd")], ids=repr)
@pytest.mark.parametrize("operation", ["complete", "events"])
def test_what_an_end_hook_raises_is_not_taken_for_the_endpoints(caller, raised, operation):
    def end(_event):
        raise raised

    with Endpoint("Hello you"), pytest.raises(type(raised)) as caught:
        getattr(caller(hooks=Hooks(end=end)), operation)(**ASKED)
    assert caught.value is raised


def test_what_an_end_hook_raises_is_not_taken_for_the_endpoints_where_the_stream_is_left():
    def end(_event):
        raise httpx2.ConnectError("down")

    with Endpoint("Hello you"), SyncFriendli(hooks=Hooks(end=end)) as client:
        stream = client.dedicated.completions.stream(**ASKED)
        next(stream)
        with pytest.raises(httpx2.ConnectError, match="down"):
            stream.close()


@pytest.mark.parametrize("moment", ["error", "end"])
def test_what_one_hook_raises_keeps_no_other_from_its_error_and_its_end(caller, moment):
    def stop(_event):
        raise KeyError(moment)

    before, after = [], []
    hooks = [Hooks(error=before.append, end=before.append), Hooks(**{moment: stop})]
    with Endpoint(default=failure(422)), pytest.raises(KeyError, match=moment):
        caller(hooks=[*hooks, Hooks(error=after.append, end=after.append)]).complete(**ASKED)
    for told in (before, after):
        assert [type(event) for event in told] == [ErrorEvent, EndEvent]
        assert {event.error.status_code for event in told} == {422}


def test_every_hook_gets_its_end_though_all_of_them_raise(caller):
    def end(event):
        ended.append(event.finished)
        raise KeyError(len(ended))

    ended: list[bool] = []
    with Endpoint("Hi"), pytest.raises(KeyError):
        caller(hooks=[Hooks(end=end)] * 3).complete(**ASKED)
    assert ended == [True] * 3


def test_who_stops_at_the_last_event_has_read_the_whole(caller):
    ends: list[EndEvent] = []
    with Endpoint("Hello you") as endpoint, SyncFriendli(hooks=Hooks(end=ends.append)) as client:
        to_the_last_event(stream := client.dedicated.completions.stream(**ASKED))
        stream.close()
        assert stream.final().choices[0].text == "Hello you"
    (end,) = ends
    assert (end.finished, end.error, end.result.choices[0].text) == (True, None, "Hello you")
    assert end.result.usage.total_tokens == 3
    assert endpoint.requests[0].state == "read"


def test_who_drops_the_stream_at_the_last_event_has_read_the_whole():
    ends: list[EndEvent] = []
    with Endpoint("Hello you") as endpoint, SyncFriendli(hooks=Hooks(end=ends.append)) as client:
        to_the_last_event(client.dedicated.completions.stream(**ASKED))
        assert [(end.finished, end.result.usage.total_tokens) for end in ends] == [(True, 3)]
        assert endpoint.requests[0].state == "read"


def test_who_stops_at_the_last_event_has_read_the_whole_async(run):
    async def main():
        async with AsyncFriendli(hooks=Hooks(end=ends.append)) as client:
            async with await client.dedicated.completions.stream(**ASKED) as stream:
                await to_the_last_event_async(stream)
            return await stream.text()

    ends: list[EndEvent] = []
    with Endpoint("Hello you") as endpoint:
        assert run(main) == "Hello you"
    assert [(end.finished, end.result.usage.total_tokens) for end in ends] == [(True, 3)]
    assert endpoint.requests[0].state == "read"


class Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str, *arguments: object) -> None:
        self.lines.append(message % arguments)


def test_a_stream_without_usage_that_is_read_to_its_end_is_finished(caller):
    ends, notes = [], Notes()
    with Endpoint("Hello you"):
        client = caller(hooks=Hooks(end=ends.append), debug_logger=notes)
        client.events(**ASKED, stream_options={"include_usage": False})
    assert [(end.finished, end.result, end.error) for end in ends] == [(True, None, None)]
    assert ": done after" in notes.lines[-1]


def test_a_stream_that_is_left_is_not_finished():
    ends, notes = [], Notes()
    with Endpoint("Hello you"), SyncFriendli(hooks=Hooks(end=ends.append), debug_logger=notes) as client:
        next(client.dedicated.completions.stream(**ASKED))
    assert [(end.finished, end.result, end.error) for end in ends] == [(False, None, None)]
    assert ": given up after" in notes.lines[-1]


def test_the_error_of_a_retry_counts_the_attempts_so_far(caller):
    seen: list[tuple[int, int]] = []
    hooks = Hooks(retry=lambda event: seen.append((event.attempt, event.error.attempts)))
    with Endpoint(failure(500, times=2), "Hi"):
        caller(hooks=hooks).complete(**ASKED)
    assert seen == [(1, 1), (2, 2)]


def test_an_error_after_the_end_calls_no_hook():
    told = []
    with Endpoint("Hello you"), SyncFriendli(hooks=Hooks(error=told.append, end=told.append)) as client:
        stream = client.dedicated.completions.stream(**ASKED)
        next(stream)
        stream.close()
        for read in (stream.final, stream.text):
            with pytest.raises(errors.StreamTruncatedError, match="closed before its end"):
                read()
    assert [type(event) for event in told] == [EndEvent]


# An error status whose body breaks off


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("operation", ["complete", "events"])
def test_an_error_status_whose_body_breaks_off_is_tried_again_as_it_asks(caller, then, operation):
    broken = raw(b"half a sent", status=503, then=then, headers={"retry-after": "7"})
    with Endpoint(broken, "Hi") as endpoint:
        getattr(caller(), operation)(**ASKED)
    assert 7 <= endpoint.waits[0] <= 8


@pytest.mark.parametrize("then", ["close", "reset", "stall"])
def test_an_error_status_whose_body_breaks_off_keeps_what_came(caller, then):
    broken = raw([b"half a", b" sent"], status=429, then=then, headers={"retry-after": "7"})
    with Endpoint(broken), pytest.raises(errors.RateLimitError) as caught:
        caller(retry_config=None).complete(**ASKED)
    told = caught.value
    assert (told.status_code, told.body, told.retry_after, told.request_id) == (429, "half a sent", 7, "req-1")
    assert told.raw_response.content == b"half a sent"


# The connection


@pytest.mark.parametrize("how", ["block", "close", "drop"])
def test_who_stops_at_the_last_event_gives_the_connection_back(how):
    with serving(lambda _: streamed(SECOND)) as stub, SyncFriendli(server_url=stub.url) as client:
        for _ in range(3):
            stream = client.dedicated.completions.stream(**BODY)
            if how == "block":
                with stream:
                    to_the_last_event(stream)
            else:
                to_the_last_event(stream)
            if how == "close":
                stream.close()
            del stream
    assert connections(stub) == [0, 0, 0]


@pytest.mark.parametrize("how", ["block", "close"])
def test_who_stops_at_the_last_event_gives_the_connection_back_async(run, how):
    async def main(url):
        async with AsyncFriendli(server_url=url) as client:
            for _ in range(3):
                stream = await client.dedicated.completions.stream(**BODY)
                await to_the_last_event_async(stream)
                if how == "close":
                    await stream.aclose()
                else:
                    async with stream:
                        pass

    with serving(lambda _: streamed(SECOND)) as stub:
        run(main, stub.url)
    assert connections(stub) == [0, 0, 0]


def test_a_stream_is_read_whole_where_no_thread_can_be_started(monkeypatch):
    def none_left(_timer):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", none_left, raising=False)
    with serving(lambda _: streamed(SECOND)) as stub, SyncFriendli(server_url=stub.url) as client:
        assert [client.dedicated.completions.stream(**BODY).text() for _ in range(2)] == ["Hello you"] * 2


ENDS_BADLY = [
    ([*SECOND[:1], data({"error": {"message": "boom"}})], errors.APIStreamError),
    ([*SECOND[:1], data(b"{")], errors.InvalidResponseError),
]


@pytest.mark.parametrize(("chunks", "kind"), ENDS_BADLY)
def test_a_failed_stream_hangs_up_while_it_and_its_error_are_held(chunks, kind):
    with Endpoint(raw(chunks, content_type="text/event-stream", then="stall")) as endpoint, SyncFriendli() as client:
        stream = client.dedicated.completions.stream(**ASKED)
        with pytest.raises(kind) as caught:
            list(stream)
        assert (endpoint.requests[0].state, endpoint.open_streams) == ("closed", 0)
        assert caught.tb is not None


@pytest.mark.parametrize(("chunks", "kind"), ENDS_BADLY)
def test_a_failed_stream_hangs_up_while_it_and_its_error_are_held_async(run, chunks, kind):
    async def main():
        async with AsyncFriendli() as client:
            stream = await client.dedicated.completions.stream(**ASKED)
            with pytest.raises(kind) as caught:
                await stream.text()
            assert endpoint.open_streams == 0
            assert caught.tb is not None

    with Endpoint(raw(chunks, content_type="text/event-stream", then="stall")) as endpoint:
        run(main)


def test_a_stream_outlives_its_client():
    with halting() as (stub, go_on):
        stream = SyncFriendli(server_url=stub.url).dedicated.completions.stream(**BODY)
        gc.collect()
        go_on.set()
        assert stream.text() == "Hello you"


def test_a_stream_outlives_its_client_async(run):
    async def main(stub, go_on):
        stream = await AsyncFriendli(server_url=stub.url).dedicated.completions.stream(**BODY)
        gc.collect()
        await anyio.lowlevel.checkpoint()
        go_on.set()
        assert await stream.text() == "Hello you"
        del stream
        assert await happens(stub.gone)

    with halting() as (stub, go_on):
        run(main, stub, go_on)


# Ended by somebody else


def falling_silent(asked):
    """A stream of one event that goes on for ever; calls are echoed."""
    return [STREAM_HEAD, chunk(SECOND[0])] if asked.json.get("stream") else echo(asked)


def reads_from_a_socket(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code.co_filename.endswith("sync.py") and frame.f_code.co_name == "read"


def test_a_stream_can_be_closed_by_another_thread_while_one_waits_in_it():
    def work(number):
        if number == 0:
            next(stream)
            reader.append(threading.get_ident())
            return list(stream)
        tries = iter(range(1000 * LATEST))
        while not (reader and reads_from_a_socket(reader[0])) and next(tries, None) is not None:
            pause.wait(0.001)
        return stream.close()

    ends, reader, pause = [], [], threading.Event()
    with serving(falling_silent) as stub, SyncFriendli(server_url=stub.url, hooks=Hooks(end=ends.append)) as client:
        stream = client.dedicated.completions.stream(**BODY)
        read, closed = in_threads(2, work)
        assert stub.gone.wait(LATEST)
        assert text_of(client) == "Hi"
    assert closed is None
    assert isinstance(read, errors.StreamTruncatedError)
    assert (read.text, len(ends)) == ("Hello", 2)


def test_a_stream_can_be_closed_by_another_task_while_one_waits_in_it(run):
    async def read(stream, outcomes):
        try:
            outcomes.append(await stream.text())
        except errors.StreamTruncatedError as error:
            outcomes.append(error.text)

    async def main(stub):
        outcomes = []
        async with AsyncFriendli(server_url=stub.url, hooks=Hooks(end=ends.append)) as client:
            stream = await client.dedicated.completions.stream(**BODY)
            await anext(stream)
            async with anyio.create_task_group() as group:
                group.start_soon(read, stream, outcomes)
                await anyio.wait_all_tasks_blocked()
                await stream.aclose()
            assert await happens(stub.gone)
            assert await text_of_async(client) == "Hi"
        return outcomes

    ends: list[EndEvent] = []
    with serving(falling_silent) as stub:
        assert run(main, stub) == ["Hello"]
    assert len(ends) == 2


class Interrupted(World):
    def sleep(self, _seconds):
        raise KeyboardInterrupt


def test_an_interrupted_wait_calls_the_end_hook_at_once():
    ends = []
    world = Interrupted(lambda _: httpx2.Response(503))
    with network.replaced(world), SyncFriendli(hooks=Hooks(end=ends.append)) as client:
        with pytest.raises(KeyboardInterrupt) as caught:
            client.dedicated.completions.complete(**ASKED)
        assert [(end.finished, end.error) for end in ends] == [(False, None)]
        assert caught.tb is not None


class InterruptedBody(httpx2.SyncByteStream):
    closed = False

    def __iter__(self):
        yield b" "
        raise KeyboardInterrupt

    def close(self):
        self.closed = True


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_an_interrupted_read_hangs_up_while_the_interruption_is_held(kind):
    body = InterruptedBody()
    world = World(lambda _: httpx2.Response(200, headers={"content-type": kind}, stream=body))
    with network.replaced(world), SyncFriendli() as client:
        completions = client.dedicated.completions
        call = (
            completions.complete if kind == "application/json" else lambda **asked: completions.stream(**asked).text()
        )
        with pytest.raises(KeyboardInterrupt) as caught:
            call(**ASKED)
        assert (caught.tb is not None, body.closed) == (True, True)


# Forks and event loops


@pytest.mark.parametrize("how", ["drop", "close"])
def test_the_end_of_a_stream_of_the_parent_is_told_in_the_parent_alone(how):
    def child():
        (streams.clear if how == "drop" else streams[0].close)()
        gc.collect()
        return len(ends)

    ends: list[EndEvent] = []
    with Endpoint("Hello you"), SyncFriendli(hooks=Hooks(end=ends.append)) as client:
        streams = [client.dedicated.completions.stream(**ASKED)]
        next(streams[0])
        assert in_child(child) == 0
        assert streams[0].text() == "Hello you"
    assert [end.finished for end in ends] == [True]


def test_a_child_still_tells_the_end_of_its_own_calls():
    def child():
        text_of(client)
        return [len(told) for told in (ends, begun)]

    ends, begun = [], []
    with Endpoint(default="Hi"), SyncFriendli(hooks=Hooks(request=begun.append, end=ends.append)) as client:
        text_of(client)
        assert in_child(child) == [2, 2]


@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_is_dropped_after_its_event_loop_is_closed_says_nothing(begun, capfd):
    async def main():
        client = AsyncFriendli()
        stream = await client.dedicated.completions.stream(**ASKED)
        if begun:
            await anext(stream)
        return [client, stream]

    with Endpoint("Hello you"):
        kept = asyncio.run(main())
        kept.clear()
        gc.collect()  # what a finalizer raises is a warning, and warnings are errors here
    assert capfd.readouterr().err == ""


def test_a_client_that_is_dropped_after_its_event_loop_is_closed_says_nothing(run, capfd):
    async def main():
        client = AsyncFriendli()
        await text_of_async(client)
        return [client]

    with Endpoint("Hi"):
        kept = run(main)
        kept.clear()
        gc.collect()
    assert capfd.readouterr().err == ""


class Rooted(World):
    """Its async clients refer to their event loop, as those with connections do."""

    def __init__(self) -> None:
        super().__init__(lambda _: httpx2.Response(200, json=RESULT))
        self.made: list[weakref.ref] = []

    def async_client(self):
        client = super().async_client()
        client.loop = asyncio.get_running_loop()
        self.made.append(weakref.ref(client))
        return client


def test_a_client_used_in_a_hundred_event_loops_keeps_the_connections_of_the_last_one_alone():
    world = Rooted()
    client = AsyncFriendli()
    with network.replaced(world):
        for _ in range(100):
            asyncio.run(text_of_async(client))
        gc.collect()
        assert len(world.made) == 100
        assert [made() for made in world.made[:-1]] == [None] * 99
    del client


def test_a_forked_child_does_not_touch_the_async_connections_of_its_parent(run):
    async def parent(url):
        async with AsyncFriendli(server_url=url) as client:
            await text_of_async(client)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                assert in_child(lambda: [str(each.message) for each in told]) == []
            return await text_of_async(client)

    with serving(echo) as stub:
        assert run(parent, stub.url) == "Hi"
    assert connections(stub) == [0, 0]


def test_an_answer_that_is_too_large_hangs_up_while_its_error_is_held(caller):
    told = []
    with Endpoint(raw([b" " * 2**20] * 65, then="stall")) as endpoint:
        client = caller(hooks=Hooks(error=lambda event: told.append(endpoint.requests[0].state)))
        with pytest.raises(errors.APIConnectionError, match="too large") as caught:
            client.complete(**ASKED)
        assert caught.tb is not None
    assert told == ["closed"]
