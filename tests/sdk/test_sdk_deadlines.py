"""A call takes no longer than it may, whatever the endpoint does with the time."""

from __future__ import annotations

import gc
import threading
from functools import partial

import httpx2
import pytest
from concurrency_kit import run_under
from sdk_stub import RESULT, answer, serving
from sdk_worlds import World

from friendli import AsyncFriendli, SyncFriendli, errors, utils
from friendli._transport import network
from friendli.hooks import EndEvent, Hooks
from friendli.testing import Endpoint, completion, failure, raw, redirect

ASKED = {"model": "demo", "prompt": "Hi"}
OPERATIONS = pytest.mark.parametrize("operation", ["complete", "events"])
MOST_LINES = 600  # so that a call that waits for the end fails instead of hanging


def late(caller, operation: str, kind: type[errors.SDKError], **settings: object) -> float:
    """When a call fails with an error of `kind`, in virtual seconds."""
    ends: list[EndEvent] = []
    with pytest.raises(kind) as caught:
        getattr(caller(hooks=Hooks(end=ends.append), **settings), operation)(**ASKED)
    assert type(caught.value) is kind
    return ends[0].elapsed


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    """Runs an async function under one of the two libraries."""
    return partial(run_under, request.param)


# Redirects


def test_redirects_share_the_time_of_a_call(caller):
    with Endpoint(redirect("/again", delay=0.4, times=4), "Hi", allow_unused=True) as endpoint:
        assert late(caller, "complete", errors.APITimeoutError, timeout_ms=1000) == pytest.approx(1.0)
    assert [request.at for request in endpoint.requests] == pytest.approx([0, 0.4, 0.8])


def test_redirects_share_the_time_of_a_stream(caller):
    timeout = utils.TimeoutConfig(total_ms=1000, stream_total_ms=1000)
    with Endpoint(redirect("/again", delay=0.4, times=4), "Hi", allow_unused=True):
        assert late(caller, "events", errors.APITimeoutError, timeout_ms=timeout) == pytest.approx(1.0)


def test_redirects_that_are_quick_enough_are_followed(caller):
    with Endpoint(redirect("/again", delay=0.1, times=5), completion("Hi", delay=0.4)):
        assert caller(timeout_ms=1000).complete(**ASKED).choices[0].text == "Hi"


# Silences


def test_no_silence_lasts_longer_than_what_is_left_of_the_stream(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=120_000, stream_total_ms=10_000)
    with Endpoint(completion(["a", "b"], then="stall", delay=2)):
        elapsed = late(caller, "events", errors.StreamTruncatedError, timeout_ms=timeout)
    assert elapsed == pytest.approx(12)  # what was left when the attempt began, from the last event on


def test_no_silence_before_a_stream_lasts_longer_than_what_is_left_after_the_attempts_before_it(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=120_000, total_ms=60_000, stream_total_ms=60_000)
    with Endpoint(failure(503, delay=20, retry_after=5), completion("a", delay=100)):
        elapsed = late(caller, "events", errors.APITimeoutError, timeout_ms=timeout)
    assert elapsed == pytest.approx(60)


def test_a_silence_may_be_shorter_than_the_stream(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=3000, stream_total_ms=60_000)
    with Endpoint(completion(["a", "b"], then="stall", pace=2.5)):
        assert late(caller, "events", errors.StreamTruncatedError, timeout_ms=timeout) == 5.5


def test_a_call_is_bounded_by_its_total_and_by_no_silence(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=1000, total_ms=60_000)
    with Endpoint(completion("Hi", delay=50)):
        assert caller(timeout_ms=timeout).complete(**ASKED).choices[0].text == "Hi"


def test_a_stream_that_goes_on_is_ended_at_its_total(caller):
    timeout = utils.TimeoutConfig(between_bytes_ms=3000, stream_total_ms=10_000)
    with Endpoint(completion(["a"] * 20, pace=1)):
        assert late(caller, "events", errors.StreamTruncatedError, timeout_ms=timeout) == 11


def test_a_body_that_trickles_is_ended_at_the_total(caller):
    with Endpoint(raw([b" "] * 100, pace=1)):
        assert late(caller, "complete", errors.APITimeoutError, timeout_ms=10_000) == 11


# Heads


class Trickle:
    """An answer whose `line` comes again and again; `ended` if nobody stopped it."""

    def __init__(self, begin: bytes, line: bytes) -> None:
        self.begin, self.line = begin, line
        self.over, self.ended = threading.Event(), False

    def __call__(self, _asked):
        yield self.begin
        for _ in range(MOST_LINES):
            yield self.line
            if self.over.wait(0.005):
                return
        self.ended = True


@pytest.mark.parametrize("operation", ["complete", "stream"])
@pytest.mark.parametrize(
    ("begin", "line"),
    [(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), (b"", b"HTTP/1.1 102 Processing\r\n\r\n")],
    ids=["headers", "1xx"],
)
def test_an_async_call_does_not_wait_for_a_head_that_trickles(run, begin, line, operation):
    async def main(url):
        timeout = utils.TimeoutConfig(total_ms=150, stream_total_ms=150)
        async with AsyncFriendli(server_url=url, timeout_ms=timeout, retry_config=None) as client:
            with pytest.raises(errors.APITimeoutError) as caught:
                await getattr(client.dedicated.completions, operation)(**ASKED)
        assert (caught.value.status_code, caught.value.attempts) == (-1, 1)

    trickle = Trickle(begin, line)
    with serving(trickle) as stub:
        run(main, stub.url)
        assert not trickle.ended
        trickle.over.set()


# Waits between attempts


@OPERATIONS
def test_a_wait_that_overshoots_the_deadline_leaves_an_attempt_a_time_above_zero(caller, operation):
    def handler(request):
        timeouts.append(request.extensions["timeout"])
        return httpx2.Response(503)

    timeouts: list[dict[str, float]] = []
    timeout = utils.TimeoutConfig(total_ms=5000, stream_total_ms=5000)
    with network.replaced(World(handler, late=100.0)), pytest.raises(errors.InternalServerError):
        getattr(caller(timeout_ms=timeout), operation)(**ASKED)
    assert len(timeouts) == 2
    assert all(0 < seconds <= 0.01 for seconds in timeouts[1].values())


def test_a_wait_that_overshoots_still_brings_the_answer(caller):
    answers = iter([httpx2.Response(503), httpx2.Response(200, json=RESULT)])
    with network.replaced(World(lambda _: next(answers), late=4.0)):
        assert caller(timeout_ms=10_000).complete(**ASKED).choices[0].text == "Hello you"


@OPERATIONS
@pytest.mark.parametrize(("asked", "advised"), [(9.999, False), (10, True), (11, True)])
def test_asked_to_wait_for_what_is_left_or_longer_the_error_says_so(caller, operation, asked, advised):
    with Endpoint(failure(429, retry_after=asked)), pytest.raises(errors.RateLimitError) as caught:
        getattr(caller(retry_config=None, timeout_ms=10_000), operation)(**ASKED)
    assert ("longer than this call may wait" in str(caught.value)) == advised
    assert caught.value.retry_after == asked


def test_no_retry_of_a_stream_begins_later_than_the_total_of_a_call(caller):
    timeout = utils.TimeoutConfig(total_ms=10_000, stream_total_ms=3_600_000)
    with Endpoint(failure(503, delay=4, retry_after=3), failure(503, delay=4)) as endpoint:
        late(caller, "events", errors.InternalServerError, timeout_ms=timeout)
    assert len(endpoint.requests) == 2


def test_a_timeout_that_a_call_gives_is_not_shared_with_the_next_one():
    with Endpoint(default=completion("Hi", delay=5)), SyncFriendli(timeout_ms=10_000) as client:
        with pytest.raises(errors.APITimeoutError):
            client.dedicated.completions.complete(**ASKED, timeout_ms=1000)
        assert client.dedicated.completions.complete(**ASKED).choices[0].text == "Hi"


# Given up in the middle


def test_an_async_answer_that_is_given_up_half_read_leaves_no_trace(run):
    """Under trio, what is left of a generator is a warning, and warnings are errors here."""

    async def main(url):
        async with AsyncFriendli(server_url=url, timeout_ms=150, retry_config=None) as client:
            with pytest.raises(errors.APITimeoutError):
                await client.dedicated.completions.complete(**ASKED)
            gc.collect()

    trickle = Trickle(answer(RESULT, content_length="1000000"), b" ")
    with serving(trickle) as stub:
        run(main, stub.url)
        assert not trickle.ended
        trickle.over.set()


def test_an_async_answer_that_is_too_large_leaves_no_trace(run):
    async def main():
        async with AsyncFriendli() as client:
            with pytest.raises(errors.APIConnectionError, match="too large"):
                await client.dedicated.completions.complete(**ASKED)
            gc.collect()

    with Endpoint(raw([b" " * 2**20] * 66, then="stall")) as endpoint:
        run(main)
    assert endpoint.open_streams == 0
