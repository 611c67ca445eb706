"""Hooks see every attempt of a call and its one end, and the log shows neither token nor prompt."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from friendli import AsyncFriendli, SyncFriendli, errors
from friendli.hooks import EndEvent, ErrorEvent, Hooks, RequestEvent, ResponseEvent, RetryEvent
from friendli.testing import Endpoint, completion, dropped, failure, raw, redirect, refused

ASKED = {"model": "demo", "prompt": "a secret prompt"}
SHORT = {RequestEvent: "request", ResponseEvent: "response", RetryEvent: "retry", ErrorEvent: "error", EndEvent: "end"}


class Diary:
    def __init__(self) -> None:
        self.events: list = []
        self.hooks = Hooks(*[self.events.append] * 5)

    @property
    def lines(self) -> list[str]:
        return [SHORT[type(event)] for event in self.events]


@pytest.fixture
def diary() -> Diary:
    return Diary()


def test_a_call_without_trouble_is_a_request_a_response_and_an_end(caller, diary):
    with Endpoint("Hello you") as endpoint:
        result = caller(hooks=diary.hooks).complete(**ASKED)
    assert diary.lines == ["request", "response", "end"]
    request, response, end = diary.events
    assert request.call is response.call is end.call
    assert (request.call.operation, request.call.body.prompt) == ("complete", "a secret prompt")
    assert request.call.idempotency_key == endpoint.requests[0].idempotency_key
    assert (response.status, response.attempt) == (200, 1)
    assert (end.result, end.error, end.time_to_first_token) == (result, None, None)


def test_every_attempt_is_seen_and_why_the_next_one_comes(caller, diary):
    with Endpoint(failure(503, "full", retry_after=3), refused(), "Hi") as endpoint:
        caller(hooks=diary.hooks).complete(**ASKED)
    assert diary.lines == ["request", "response", "retry", "request", "retry", "request", "response", "end"]
    assert [event.attempt for event in diary.events if isinstance(event, RequestEvent)] == [1, 2, 3]
    first, second = (event for event in diary.events if isinstance(event, RetryEvent))
    assert isinstance(first.error, errors.InternalServerError)
    assert isinstance(second.error, errors.APIConnectionError)
    assert (first.wait, second.wait) == endpoint.waits
    assert diary.events[-1].elapsed == pytest.approx(sum(endpoint.waits))


def test_the_error_of_a_call_is_seen_and_counts_its_attempts(caller, diary):
    with Endpoint(default=failure(500, "broken")), pytest.raises(errors.InternalServerError) as caught:
        caller(hooks=diary.hooks).complete(**ASKED)
    assert diary.lines[-2:] == ["error", "end"]
    assert diary.events[-2].error is diary.events[-1].error is caught.value
    assert (caught.value.attempts, diary.events[-1].result) == (3, None)


def test_a_stream_ends_with_its_last_event_and_its_result(caller, diary):
    with Endpoint(completion(["Hello", " you"], delay=2, pace=1)):
        events = caller(hooks=diary.hooks).events(**ASKED)
    assert diary.lines == ["request", "response", "end"]
    end = diary.events[-1]
    assert end.result.choices == events[-1].data.choices
    assert (end.result.object, end.result.usage) == ("text_completion", events[-1].data.usage)
    assert (diary.events[1].elapsed, end.time_to_first_token) == (2, 2)
    assert end.elapsed >= 3


@pytest.mark.parametrize("then", ["reset", "close", "end", "stall", failure(500, "out of luck")], ids=str)
def test_what_breaks_a_stream_is_the_error_of_its_call(caller, diary, then):
    with Endpoint(completion(["Hello", " you"], then=then)), pytest.raises(errors.SDKError) as caught:
        caller(hooks=diary.hooks).events(**ASKED)
    assert diary.lines == ["request", "response", "error", "end"]
    assert diary.events[-1].error is caught.value
    assert (caught.value.text, caught.value.attempts) == ("Hello you", 1)


def test_a_stream_that_is_closed_early_ends_without_result_and_error(diary):
    with Endpoint("Hello you there", "Hello you there"), SyncFriendli(hooks=diary.hooks) as client:
        with client.dedicated.completions.stream(**ASKED) as stream:
            next(stream)
        stream.close()
        assert diary.lines == ["request", "response", "end"]
        client.dedicated.completions.stream(**ASKED)
        gc.collect()
        assert diary.lines == ["request", "response", "end"] * 2
    assert (diary.events[2].result, diary.events[2].error) == (None, None)


def test_a_call_that_is_cancelled_ends_without_result_and_error(diary):
    async def main() -> None:
        async with AsyncFriendli(hooks=diary.hooks) as client:
            task = asyncio.create_task(client.dedicated.completions.complete(**ASKED))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with Endpoint(default=completion("late", delay=1)):
        asyncio.run(main())
    assert diary.lines[-1] == "end"
    assert (diary.events[-1].result, diary.events[-1].error) == (None, None)


def test_what_a_hook_puts_into_the_headers_is_sent_with_that_attempt(caller):
    def tag(event: RequestEvent) -> None:
        event.headers["X-Attempt"] = str(event.attempt)

    with Endpoint(failure(500), "Hi") as endpoint:
        caller(hooks=[Hooks(request=tag), Hooks()], http_headers={"x-attempt": "none"}).complete(**ASKED)
    assert [request.headers["x-attempt"] for request in endpoint.requests] == ["1", "2"]


def test_no_hook_sees_the_token(caller, diary):
    with Endpoint("Hi"):
        caller(token="flp_secret", hooks=diary.hooks).complete(**ASKED)
    assert "flp_secret" not in str(diary.events[0].headers)


@pytest.mark.parametrize("moment", ["request", "response", "retry", "error", "end"])
def test_what_a_hook_raises_is_raised_to_the_caller_and_leaves_nothing_open(caller, diary, moment):
    class StopError(Exception):
        pass

    def stop(_event: object) -> None:
        raise StopError

    reply = failure(500, times=3) if moment in ("retry", "error") else "Hello you"
    with Endpoint(reply, allow_unused=True) as endpoint, pytest.raises(StopError):
        caller(hooks=[Hooks(**{moment: stop}), diary.hooks]).events(**ASKED)
    assert endpoint.open_streams == 0
    assert diary.lines.count("end") == 1


def test_wrong_hooks_are_refused_by_name():
    for wrong in (3, print, [Hooks(), print]):
        with pytest.raises(errors.InvalidRequestError, match=r"hooks should be a friendli\.hooks\.Hooks"):
            SyncFriendli(hooks=wrong)


class Notebook:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str, *arguments: object) -> None:
        self.lines.append(message % arguments)


def test_the_log_tells_every_step_and_shows_neither_token_nor_prompt_nor_text(caller):
    notes = Notebook()
    says = "the prompt 'a secret prompt' is bad"
    with Endpoint(failure(500, says), "secret text", completion("secret text", then="reset"), failure(422, says)):
        client = caller(token="", debug_logger=notes, server_url="http://user:secret@host")
        client.complete(**ASKED)
        for _ in range(2):
            with pytest.raises(errors.SDKError):
                client.events(**ASKED)
    text = "\n".join(notes.lines)
    assert "secret" not in text
    for part in ("attempt 1", "status 500", "trying again", "attempt 2", "status 200", "done", "StreamTruncated"):
        assert part in text
    assert "UnprocessableEntityError, status 422" in text


def test_the_environment_switches_the_log_on(monkeypatch, capsys):
    monkeypatch.setenv("FRIENDLI_DEBUG", "1")
    logger = logging.getLogger("friendli")
    monkeypatch.setattr(logger, "propagate", False)
    with Endpoint("Hi"), SyncFriendli() as client:
        client.dedicated.completions.complete(**ASKED)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    assert "attempt 1, model 'demo'" in capsys.readouterr().err


def test_redirects_and_odd_answers_are_responses_too(caller, diary):
    with Endpoint(redirect("/elsewhere"), raw(b"[]")), pytest.raises(errors.InvalidResponseError):
        caller(hooks=diary.hooks).complete(**ASKED)
    assert diary.lines == ["request", "response", "response", "error", "end"]


def test_an_attempt_without_an_answer_has_no_response(caller, diary):
    with Endpoint(dropped(), "Hi"):
        caller(hooks=diary.hooks).complete(**ASKED)
    assert diary.lines == ["request", "retry", "request", "response", "end"]
