"""Everything that can go wrong with an answer, as the client's caller sees it."""

from __future__ import annotations

import gzip
import math

import pytest

from friendli import errors, utils
from friendli.testing import Endpoint, completion, dropped, failure, raw, redirect, refused

NO_RETRY = {"retry_config": None}
PIECES = ["Hel", "lo", " you"]
GENERATIONS = pytest.mark.parametrize("generation", [1, 2])
CALLS = pytest.mark.parametrize("method", ["complete", "stream"])


@CALLS
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, errors.BadRequestError, "invalid_request"),
        (401, errors.AuthenticationError, "authentication_error"),
        (404, errors.NotFoundError, "not_found"),
        (422, errors.UnprocessableEntityError, "invalid_request"),
        (429, errors.RateLimitError, "overloaded"),
        (500, errors.InternalServerError, "internal_error"),
        (599, errors.InternalServerError, "internal_error"),
    ],
)
def test_a_failure_is_the_typed_error_of_its_status(caller, method, status, error, kind):
    with Endpoint(failure(status, "not so", field="max_tokens")), pytest.raises(error) as caught:
        getattr(caller, method)(NO_RETRY)
    told = caught.value
    assert (told.status_code, told.message, told.type, told.field) == (status, "not so", kind, "max_tokens")
    assert told.request_id == told.headers["x-request-id"] == "req-1"


def test_a_failure_says_what_it_is_told_to_say():
    reply = failure(503, type="own", retry_after=2.5, headers={"X-Should-Retry": "false"})
    with Endpoint(reply).http_client() as client:
        answer = client.post("https://h.example", json={})
    assert answer.json() == {"error": {"message": "Service Unavailable", "type": "own", "request_id": "req-1"}}
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2.5", "false")


@CALLS
def test_lost_connections_are_tried_again(caller, method):
    with Endpoint(refused(), dropped(), "Hello") as endpoint:
        assert getattr(caller, method)().choices[0].text == "Hello"
    assert [request.state for request in endpoint.requests] == ["unanswered", "unanswered", "read"]


@pytest.mark.parametrize(
    ("reply", "error", "cause", "elapsed"),
    [
        (refused(), errors.APIConnectionError, "ConnectError", 0),
        (refused(delay=4), errors.APIConnectionError, "ConnectError", 4),
        (refused(delay=math.inf), errors.APITimeoutError, "ConnectTimeout", 5),
        (dropped(), errors.APIConnectionError, "ReadError", 0),
        (dropped(delay=7), errors.APIConnectionError, "ReadError", 7),
    ],
)
def test_without_retries_they_are_the_callers_errors(caller, reply, error, cause, elapsed):
    with Endpoint(reply), pytest.raises(error) as caught:
        caller.complete(NO_RETRY)
    assert type(caught.value) is error
    assert type(caught.value.__cause__).__name__ == cause
    assert caller.elapsed == elapsed


@GENERATIONS
@pytest.mark.parametrize("then", ["end", "close", "reset", "stall"])
def test_a_stream_cut_anywhere_is_truncated_with_the_text_so_far(caller, generation, then):
    for count in range(len(PIECES) + 1):
        with (
            Endpoint(completion(PIECES[:count], then=then, generation=generation)) as endpoint,
            pytest.raises(errors.StreamTruncatedError) as caught,
        ):
            caller.stream()
        assert caught.value.text == "".join(PIECES[:count])
        assert caller.seen == PIECES[:count]
        assert endpoint.requests[0].state == ("read" if then == "end" else "broken")
        assert len(endpoint.requests) == 1


@GENERATIONS
def test_a_failure_inside_a_stream_is_its_own_error_with_the_text_so_far(caller, generation):
    lost = failure(500, "the GPU is gone", type="gpu")
    with (
        Endpoint(completion(PIECES[:2], then=lost, generation=generation)) as endpoint,
        pytest.raises(errors.APIStreamError) as caught,
    ):
        caller.stream()
    told = caught.value
    assert (told.text, told.message, told.type, told.request_id) == ("Hello", "the GPU is gone", "gpu", "req-1")
    assert caller.seen == PIECES[:2]
    assert len(endpoint.requests) == 1


def test_the_same_failure_is_the_answer_to_a_call_that_does_not_stream(caller):
    reply = completion(PIECES, then=failure(503, "full", delay=2), delay=3)
    with Endpoint(reply), pytest.raises(errors.InternalServerError, match="full"):
        caller.complete(NO_RETRY)
    assert caller.elapsed == 5


@GENERATIONS
@pytest.mark.parametrize(
    ("then", "error"),
    [
        ("end", errors.InvalidResponseError),
        ("close", errors.APIConnectionError),
        ("reset", errors.APIConnectionError),
        ("stall", errors.APITimeoutError),
    ],
)
def test_a_call_that_does_not_stream_gets_half_its_answer(caller, generation, then, error):
    with Endpoint(completion("Hello", then=then, generation=generation)), pytest.raises(error) as caught:
        caller.complete(NO_RETRY)
    assert type(caught.value) is error


def test_raw_bytes_are_answered_as_they_are(caller):
    event = b'data: {"event":"token_sampled","index":0,"text":"x","token":1}\n\n'
    with Endpoint(raw([event[:9], event[9:], b": hm\n\n", event], content_type="text/event-stream", then="reset")):
        with pytest.raises(errors.StreamTruncatedError):
            caller.stream()
        assert caller.seen == ["x", "x"]
    with Endpoint(raw(b"<html>", content_type="text/html", status=200)), pytest.raises(errors.InvalidResponseError):
        caller.complete()
    with Endpoint(raw(b"teapot", content_type="text/plain", status=418)), pytest.raises(errors.APIError) as caught:
        caller.complete()
    assert (caught.value.status_code, caught.value.body) == (418, "teapot")


def test_raw_bytes_may_be_compressed(caller):
    whole = b'{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}'
    with Endpoint(raw(gzip.compress(whole), headers={"content-encoding": "gzip"})):
        assert caller.complete().choices == []


def test_redirects_are_followed_by_the_client_and_each_hop_is_a_request(caller):
    with Endpoint(redirect("https://b.example/v2", 308), redirect("/v3"), "Hello") as endpoint:
        assert caller.complete({"server_url": "https://a.example"}).choices[0].text == "Hello"
    assert [request.url for request in endpoint.requests] == [
        "https://a.example/dedicated/v1/completions",
        "https://b.example/v2",
        "https://b.example/v3",
    ]
    assert "authorization" in endpoint.requests[0].headers
    assert "authorization" not in endpoint.requests[1].headers
    assert [request.prompt for request in endpoint.requests] == ["a secret prompt"] * 3


def test_retry_after_is_waited_for(caller):
    with Endpoint(failure(429, retry_after=30), failure(503, retry_after="4"), "Hello") as endpoint:
        caller.complete()
    first, second = endpoint.waits
    assert 30 <= first <= 31
    assert 4 <= second <= 6
    assert [request.at for request in endpoint.requests] == [0, first, first + second]


def test_a_configured_backoff_is_waited_for_exactly(caller):
    backoff = utils.BackoffStrategy(500, 60_000, 2, 3_600_000, jitter_ms=0)
    retries = utils.RetryConfig("backoff", backoff, retry_connection_errors=True)
    with Endpoint(failure(500, times=3), refused(), "Hello") as endpoint:
        caller.complete({"retry_config": retries})
    assert endpoint.waits == (0.5, 1.0, 2.0, 4.0)
    assert caller.elapsed == 7.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: failure(200), "status should be from 400 to 599, not 200"),
        (lambda: redirect("/", 404), "status should be from 300 to 399, not 404"),
        (lambda: failure(times=0), "times should be 1 or more"),
        (lambda: raw(b"", then="explode"), "then should be one of reset, close, end, stall, not 'explode'"),
        (lambda: refused(delay=-1), "delay should be seconds from 0"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (completion(choices=[]), "completion()"),
        (completion(["Hel", "lo"]), "completion('Hello')"),
        (failure(), "failure(500, 'Internal Server Error')"),
        (failure(418, "x" * 99), f"failure(418, '{'x' * 39}…')"),
        (raw([b"a", b"bc"]), "raw(3 bytes, status=200)"),
        (redirect("/x"), "redirect('/x', 307)"),
        (refused(), "refused()"),
        (dropped(), "dropped()"),
    ],
)
def test_replies_look_like_what_made_them(reply, shown):
    assert repr(reply) == shown
