"""Calls over a real connection: what goes out, what comes back, for the blocking and the async client alike."""

from __future__ import annotations

import threading

import httpx2
import pytest
from sdk_stub import RESULT, Close, Reset, Wait, answer, serving

from friendli import AsyncFriendli, Friendli, SyncFriendli, errors, models, utils
from friendli.testing import Endpoint

BODY = {"model": "demo", "prompt": "hi", "max_tokens": 2}


def result(_asked):
    return [answer(RESULT)]


def quick_retries(**more) -> utils.RetryConfig:
    return utils.RetryConfig("backoff", utils.BackoffStrategy(1, 2, 1.0, 10_000), True, **more)


def test_body_as_dict_as_model_and_as_keywords_are_the_same_request(caller):
    with serving(result) as stub:
        call = caller(server_url=stub.url).complete
        given = call(dedicated_completions_complete_body=BODY)
        call(dedicated_completions_complete_body=models.DedicatedCompletionsCompleteBody(**BODY))
        call(**BODY)
    assert [asked.json for asked in stub.asked] == [BODY] * 3
    assert given == models.CompletionsResult.model_validate(RESULT)
    assert given.choices[0].text == "Hello you"


def test_nested_models_inside_a_dict_are_taken(caller):
    with serving(result) as stub:
        caller(server_url=stub.url).complete(**BODY, stop_tokens=[models.TokenSequence(tokens=[1])])
    assert stub.asked[0].json["stop_tokens"] == [{"tokens": [1]}]


def test_the_request_carries_token_content_type_and_a_new_key_per_call(caller):
    with serving(result) as stub:
        call = caller(server_url=stub.url + "/", token="flp_1").complete
        call(**BODY)
        call(**BODY)
    first, second = stub.asked
    assert first.path == "/dedicated/v1/completions"
    assert first.headers["authorization"] == "Bearer flp_1"
    assert (first.headers["accept"], first.headers["content-type"]) == ("application/json", "application/json")
    assert first.headers["user-agent"].startswith("friendli-python/")
    assert "x-friendli-team" not in first.headers
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_options_of_a_call_win_over_those_of_the_client(caller):
    with serving(result) as stub:
        client = caller(
            server_url="http://{host}/nowhere",
            url_params={"host": "127.0.0.1:1"},
            x_friendli_team="a",
            http_headers={"X-One": "1", "X-Two": "2"},
        )
        client.complete(
            **BODY, server_url=stub.url, x_friendli_team="b", http_headers={"x-two": "3", "Idempotency-Key": "mine"}
        )
    headers = stub.asked[0].headers
    assert (headers["x-friendli-team"], headers["x-one"], headers["x-two"]) == ("b", "1", "3")
    assert headers["idempotency-key"] == "mine"


def test_token_and_address_come_from_the_environment_unless_given(caller, monkeypatch):
    with serving(result) as stub:
        monkeypatch.setenv("FRIENDLI_TOKEN", "flp_env")
        monkeypatch.setenv("FRIENDLI_SERVER_URL", stub.url)
        caller(token=None).complete(**BODY)
        caller(token="flp_own").complete(**BODY)
        caller(token="").complete(**BODY)
        caller(token="Bearer flp_whole").complete(**BODY)
    tokens = [asked.headers.get("authorization") for asked in stub.asked]
    assert tokens == ["Bearer flp_env", "Bearer flp_own", None, "Bearer flp_whole"]


def test_a_token_that_is_a_callable_is_asked_for_every_attempt(caller):
    tokens = iter(["a", "b", "c"])
    answers = iter([answer({}, 503), answer({}, 503), answer(RESULT)])
    with serving(lambda _: [next(answers)]) as stub:
        caller(server_url=stub.url, token=lambda: next(tokens), retry_config=quick_retries()).complete(**BODY)
    assert [asked.headers["authorization"] for asked in stub.asked] == ["Bearer a", "Bearer b", "Bearer c"]
    assert len({asked.headers["idempotency-key"] for asked in stub.asked}) == 1


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"prompt": "my secret"}, "model"),
        ({"model": "demo"}, "prompt"),
        ({**BODY, "temprature": 1}, "temprature"),
        ({**BODY, "max_tokens": "200"}, "max_tokens"),
        ({**BODY, "stream": True}, "stream"),
        ({**BODY, "dedicated_completions_complete_body": BODY}, None),
        ({"dedicated_completions_complete_body": [1]}, None),
        ({"dedicated_completions_complete_body": {"prompt": "my secret", "model": 5}}, "model"),
        ({**BODY, "server_url": "ftp://x"}, "server_url"),
        ({**BODY, "server_url": "http://[x"}, "server_url"),
        ({**BODY, "server_url": "http://{region}.x"}, "url_params"),
        ({**BODY, "timeout_ms": 0}, "timeout_ms"),
        ({**BODY, "x_friendli_team": "a\r\nb: c"}, "x_friendli_team"),
        ({**BODY, "x_friendli_team": " padded "}, "x_friendli_team"),
        ({**BODY, "x_friendli_team": 3}, "x_friendli_team"),
        ({**BODY, "http_headers": {"a b": "c"}}, "http_headers"),
        ({**BODY, "http_headers": ["a"]}, "http_headers"),
        ({**BODY, "http_headers": {"a": "\xe9"}}, "a"),
        ({**BODY, "http_headers": {"Content-Length": "5"}}, "Content-Length"),
        ({**BODY, "server_url": "http://a..b"}, "server_url"),
        ({**BODY, "server_url": "http://a/?b=c"}, "server_url"),
        ({**BODY, "server_url": "http://user:secret@a/"}, "server_url"),
        ({**BODY, "server_url": "http://a b"}, "server_url"),
        ({**BODY, "server_url": f"http://{'a' * 64}.com"}, "server_url"),
        ({**BODY, "server_url": "http://{a!r}"}, "server_url"),
        ({**BODY, "server_url": False}, "server_url"),
        ({**BODY, "timeout_ms": 2**70}, "timeout_ms"),
        ({**BODY, "timeout_ms": float("nan")}, "timeout_ms"),
        ({**BODY, "timeout_ms": "5"}, "timeout_ms"),
        ({**BODY, "retries": 3}, "retries"),
        ({**BODY, "stop": {"a", "b"}}, "stop"),
        ({"model": "demo", "tokens": {2, 1}}, "tokens"),
        ({"dedicated_completions_stream_body": BODY}, "dedicated_completions_stream_body"),
        ({**BODY, "dedicated_completions_body": BODY}, None),
    ],
)
def test_a_wrong_call_is_an_error_that_names_the_field_before_anything_is_sent(caller, call, field):
    with serving(result) as stub, pytest.raises(errors.InvalidRequestError) as caught:
        caller(server_url=stub.url).complete(**call)
    assert stub.asked == []
    assert caught.value.field == field
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "update",
    [{"max_tokens": -1}, {"tokens": [1]}, {"temperature": float("nan")}, {"bogus": 1}, {"prompt": ["secret", 5]}],
)
def test_a_model_that_was_changed_after_its_check_is_checked_again(caller, update, recwarn):
    body = models.DedicatedCompletionsCompleteBody(**BODY).model_copy(update=update)
    with Endpoint() as endpoint, pytest.raises(errors.InvalidRequestError) as caught:
        caller().complete(dedicated_completions_complete_body=body)
    assert (endpoint.requests, list(recwarn)) == ((), [])
    assert "secret" not in str(caught.value)


def test_the_body_may_have_the_name_of_the_later_releases(caller):
    with Endpoint("Hi") as endpoint:
        caller().complete(dedicated_completions_body=BODY)
    assert endpoint.requests[0].body == BODY


@pytest.mark.parametrize("token", ["a\r\nb", "a\0", "\u20ac", "\xe9", "flp_1 ", "\tflp_1"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(caller, token):
    with serving(result) as stub, pytest.raises(errors.InvalidRequestError) as caught:
        caller(server_url=stub.url, token=token).complete(**BODY)
    assert token not in str(caught.value)


@pytest.mark.parametrize("client", [Friendli, SyncFriendli, AsyncFriendli])
def test_wrong_settings_are_refused_when_the_client_is_made(client):
    with pytest.raises(errors.InvalidRequestError):
        client(server_url="localhost:8080")
    with pytest.raises(TypeError, match="sever_url"):
        client(sever_url="http://x")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("token", 3),
        ("server_url", 0),
        ("server_idx", 1),
        ("url_params", 5),
        ("url_params", {"a": "evil.example/"}),
        ("url_params", {"a": 5}),
        ("retry_config", 3),
        ("timeout_ms", True),
        ("debug_logger", 3),
        ("hooks", {}),
        ("completions_path", "v1"),
        ("completions_path", []),
        ("x_friendli_team", 3),
        ("http_headers", 3),
        ("client", object()),
        ("async_client", object()),
    ],
)
def test_an_option_of_a_wrong_kind_is_refused_by_its_name(option, value):
    with pytest.raises(errors.InvalidRequestError, match=option) as caught:
        Friendli(**{option: value})
    assert caught.value.field == option


def test_a_repr_shows_no_user_and_no_password():
    for client in (Friendli, SyncFriendli, AsyncFriendli):
        assert "secret" not in repr(client("flp_secret", server_url="http://user:secret@host/"))


def test_an_error_answer_is_the_typed_error_with_everything_in_it(caller):
    body = {"error": {"message": "unknown endpoint", "type": "not_found", "field": "model", "request_id": "req-1"}}
    refused = answer(body, 404, x_request_id="req-1")
    with serving(lambda _: [refused]) as stub, pytest.raises(models.SDKError) as caught:
        caller(server_url=stub.url).complete(**BODY)
    error = caught.value
    assert isinstance(error, errors.NotFoundError)
    assert (error.status_code, error.message, error.field, error.request_id) == (
        404,
        "unknown endpoint",
        "model",
        "req-1",
    )
    assert isinstance(error.raw_response, httpx2.Response)
    assert len(stub.asked) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[1]", b'{"choices": 5, "usage": {}}', b"{", b"\xff"])
def test_an_answer_that_is_no_result_is_its_own_error(caller, body):
    with serving(lambda _: [answer(body)]) as stub, pytest.raises(errors.InvalidResponseError) as caught:
        caller(server_url=stub.url).complete(**BODY)
    assert caught.value.status_code == 200


def test_an_answer_of_another_content_type_is_its_own_error(caller):
    page = answer(b"<html>", content_type="text/html")
    with serving(lambda _: [page]) as stub:
        with pytest.raises(errors.InvalidResponseError, match="should be application/json, but is text/html"):
            caller(server_url=stub.url).complete(**BODY)
        with pytest.raises(errors.InvalidResponseError, match="should be text/event-stream, but is text/html"):
            caller(server_url=stub.url).events(**BODY)


@pytest.mark.parametrize("step", [Close, Reset])
def test_a_connection_that_breaks_before_the_answer_is_tried_again_with_the_same_key(caller, step):
    steps = iter([[step], [step], [answer(RESULT)]])
    with serving(lambda _: next(steps)) as stub:
        assert caller(server_url=stub.url).complete(**BODY).choices[0].text == "Hello you"
    assert len(stub.asked) == 3
    assert len({asked.headers["idempotency-key"] for asked in stub.asked}) == 1


@pytest.mark.parametrize("step", [Close, Reset])
def test_an_answer_that_breaks_in_its_body_is_never_tried_again(caller, step):
    with serving(lambda _: [answer(RESULT)[:-5], step]) as stub, pytest.raises(errors.APIConnectionError) as caught:
        caller(server_url=stub.url, retry_config=quick_retries()).complete(**BODY)
    assert isinstance(caught.value.__cause__, httpx2.TransportError)
    assert len(stub.asked) == 1


def test_nobody_listening_is_an_error_that_names_the_place_and_keeps_the_cause(caller):
    with serving(result) as stub:
        pass
    with pytest.raises(errors.APIConnectionError, match=stub.url.removeprefix("http://")) as caught:
        caller(server_url=stub.url, retry_config=None).complete(**BODY)
    assert isinstance(caught.value.__cause__, httpx2.ConnectError)


def test_retries_can_be_switched_off_by_the_client_and_by_the_call(caller):
    other = utils.RetryConfig("none", utils.BackoffStrategy(1, 1, 1, 1), True)
    with serving(lambda _: [answer({}, 503)]) as stub:
        with pytest.raises(errors.InternalServerError):
            caller(server_url=stub.url, retry_config=None).complete(**BODY)
        with pytest.raises(errors.InternalServerError):
            caller(server_url=stub.url).complete(**BODY, retries=None)
        with pytest.raises(errors.InternalServerError):
            caller(server_url=stub.url).complete(**BODY, retries=other)
    assert len(stub.asked) == 3


def test_the_retry_config_of_a_call_is_followed(caller):
    answers = iter([answer({}, 418), answer({}, 418), answer({}, 418), answer(RESULT)])
    with serving(lambda _: [next(answers)]) as stub:
        caller(server_url=stub.url).complete(**BODY, retries=quick_retries(status_codes_override=["418"]))
    assert len(stub.asked) == 4


def test_a_stream_may_run_long_but_is_not_waited_for_longer_than_a_call(caller):
    busy = answer({}, 429, retry_after="1000")
    with serving(lambda _: [busy]) as stub, pytest.raises(errors.RateLimitError, match="1000 s, longer"):
        caller(server_url=stub.url).events(**BODY)
    assert len(stub.asked) == 1


def test_silence_is_a_timeout_error(caller):
    release = threading.Event()
    with serving(lambda _: [Wait(release)]) as stub:
        with pytest.raises(errors.APITimeoutError) as caught:
            caller(server_url=stub.url).complete(**BODY, timeout_ms=50)
        release.set()
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.__cause__, httpx2.ReadTimeout)


def test_a_body_that_trickles_cannot_outlast_the_whole_time(caller):
    stop = threading.Event()

    def trickle(_asked):
        yield answer(RESULT, content_length="1000000")
        while not stop.is_set():
            yield b" "
            stop.wait(0.01)

    with serving(trickle) as stub:
        with pytest.raises(errors.APITimeoutError, match="longer than allowed"):
            caller(server_url=stub.url).complete(**BODY, timeout_ms=utils.TimeoutConfig(total_ms=200))
        stop.set()


def test_a_redirect_to_another_origin_does_not_take_the_token_along(caller):
    with serving(result) as there:
        moved = answer(b"", 307, location=there.url + "/dedicated/v1/completions")
        with serving(lambda _: [moved]) as here:
            caller(server_url=here.url).complete(**BODY)
    assert "authorization" in here.asked[0].headers
    assert "authorization" not in there.asked[0].headers
    assert there.asked[0].json == BODY


def test_a_client_of_ones_own_is_used_and_left_open():
    with serving(result) as stub, httpx2.Client(headers={"x-mine": "1"}) as own:
        with SyncFriendli(server_url=stub.url, client=own) as client:
            client.dedicated.completions.complete(**BODY)
        assert not own.is_closed
    assert stub.asked[0].headers["x-mine"] == "1"


def test_a_closed_client_opens_again_when_it_is_used():
    with serving(result) as stub:
        client = SyncFriendli(server_url=stub.url)
        for _ in range(2):
            client.dedicated.completions.complete(**BODY)
            client.close()


def test_threads_share_one_client():
    with serving(result) as stub, SyncFriendli(server_url=stub.url) as client:
        texts: list[str] = []
        call = lambda: texts.append(client.dedicated.completions.complete(**BODY).choices[0].text)  # noqa: E731
        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["Hello you"] * 8
