"""Who talks to the endpoint, what it answers in which order, and what it remembers."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx2
import pytest

from friendli import AsyncFriendli, Friendli, SyncFriendli, errors, models
from friendli.testing import Endpoint, UnscriptedRequestError, UnusedRepliesError, completion, failure, raw

ASK = {"model": "demo", "prompt": "Hi"}
RESULT = models.CompletionsResult(
    choices=[models.CompletionsChoice(index=0, text="whole", tokens=[9])],
    usage=models.CompletionsUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2),
)


@pytest.fixture
def closed_port(monkeypatch):
    """Where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("FRIENDLI_SERVER_URL", f"http://127.0.0.1:{port}")


def text(result):
    return result.choices[0].text


def test_every_client_talks_to_it_wherever_and_whenever_it_was_made():
    async def awaited(*calls):
        return [text(await call) for call in calls]

    early = Friendli()
    with Endpoint(default="Hello") as endpoint:
        late = Friendli(server_url="https://elsewhere.example")
        assert [text(client.dedicated.completions.complete(**ASK)) for client in (early, late, SyncFriendli())] == [
            "Hello"
        ] * 3
        calls = [client.dedicated.completions.complete_async(**ASK) for client in (early, late)]
        assert asyncio.run(awaited(*calls, AsyncFriendli().dedicated.completions.complete(**ASK))) == ["Hello"] * 3
    assert {request.url for request in endpoint.requests} == {
        "https://api.friendli.ai/dedicated/v1/completions",
        "https://elsewhere.example/dedicated/v1/completions",
    }


def test_nothing_is_connected_or_looked_up(caller, monkeypatch):
    def forbidden(*args, **options):
        raise OSError("the network was used")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with Endpoint("one", "two"):
        assert text(caller.complete()) == "one"
        assert text(caller.stream()) == "two"


@pytest.mark.usefixtures("closed_port")
def test_after_the_block_the_same_client_uses_the_real_network_again():
    client = SyncFriendli(retry_config=None)
    with Endpoint("one"):
        assert text(client.dedicated.completions.complete(**ASK)) == "one"
    with pytest.raises(errors.APIConnectionError):
        client.dedicated.completions.complete(**ASK)


@pytest.mark.usefixtures("closed_port")
def test_one_client_alone_can_be_given_it():
    endpoint = Endpoint("one", "two")
    client = Friendli(client=endpoint.http_client(), async_client=endpoint.async_http_client(), retry_config=None)
    assert text(client.dedicated.completions.complete(**ASK)) == "one"
    assert text(asyncio.run(client.dedicated.completions.complete_async(**ASK))) == "two"
    with pytest.raises(errors.APIConnectionError):
        SyncFriendli(retry_config=None).dedicated.completions.complete(**ASK)
    endpoint.check()


def test_replies_are_used_in_order_one_per_attempt(caller):
    with Endpoint("one", failure(503), failure(500), lambda request: f"{request.model}!", RESULT) as endpoint:
        assert [text(caller.complete()) for _ in range(3)] == ["one", "demo!", "whole"]
    assert [request.number for request in endpoint.requests] == [1, 2, 3, 4, 5]
    keys = [request.idempotency_key for request in endpoint.requests]
    assert keys[1] == keys[2] == keys[3]
    assert len(set(keys)) == 3


def test_a_reply_can_count_for_several_requests(caller):
    with Endpoint(failure(503, times=2), completion("again", times=2), "last") as endpoint:
        assert [text(caller.complete()) for _ in range(3)] == ["again", "again", "last"]
    assert len(endpoint.requests) == 5


def test_more_can_be_scripted_later_and_the_default_changed(caller):
    with Endpoint("one") as endpoint:
        endpoint.script("two")
        endpoint.default = "more"
        assert [text(caller.complete()) for _ in range(3)] == ["one", "two", "more"]
        endpoint.default = lambda request: completion("even more") if request.stream else "no"
        assert text(caller.stream()) == "even more"


def test_a_function_may_return_a_function_or_raise_an_error_of_the_http_library(caller):
    def breaks(request):
        raise httpx2.ReadError("gone")

    with Endpoint(lambda _: lambda _: "deep", breaks, "again"):
        assert text(caller.complete()) == "deep"
        assert text(caller.complete()) == "again"


def test_a_request_beyond_the_script_raises_at_once_in_the_caller_and_names_it(caller):
    endpoint = Endpoint()
    endpoint.start()
    for call in (caller.complete, caller.stream):
        with pytest.raises(UnscriptedRequestError) as caught:
            call()
        assert "POST https://api.friendli.ai/dedicated/v1/completions model='demo'" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert isinstance(caught.value, AssertionError)
    assert len(endpoint.requests) == 2
    endpoint.stop(check=False)


def test_a_request_beyond_the_script_that_the_program_swallowed_is_told_at_the_end():
    with pytest.raises(UnscriptedRequestError, match="Request 1: POST"), Endpoint(), suppress(Exception):
        SyncFriendli().dedicated.completions.complete(**ASK)


def test_replies_left_over_are_named_at_the_end():
    with pytest.raises(UnusedRepliesError) as caught, Endpoint("one", "two", failure(503, times=3), lambda r: "x"):
        SyncFriendli().dedicated.completions.complete(**ASK)
    assert str(caught.value) == (
        "nobody asked for 3 of the replies: "
        "completion('two'); failure(503, 'Service Unavailable'), 3 of 3 times; <lambda>()"
    )


def test_a_reply_that_counts_for_several_is_left_over_in_part():
    with Endpoint(completion("x" * 50, times=3), allow_unused=True) as endpoint:
        SyncFriendli().dedicated.completions.complete(**ASK)
        assert endpoint.unused == [f"completion('{'x' * 39}…'), 2 of 3 times"]


def test_an_error_in_the_block_is_not_hidden_by_what_is_left():
    with pytest.raises(KeyError), Endpoint("unused"):
        raise KeyError("own")


def test_a_request_tells_what_was_asked(caller):
    with Endpoint(default="Hi") as endpoint:
        caller.complete({"x_friendli_team": "blue"}, model="demo:route", max_tokens=3, http_headers={"X-Mine": "1"})
        caller.stream(prompt=["a", "b"])
    plain, streamed = endpoint.requests
    assert plain.body == {"model": "demo:route", "prompt": "a secret prompt", "max_tokens": 3}
    assert (plain.method, plain.path) == ("POST", "/dedicated/v1/completions")
    assert (plain.model, plain.prompt, plain.stream, plain.team) == ("demo:route", "a secret prompt", False, "blue")
    assert plain.headers["authorization"] == "Bearer flp_secret"
    assert plain.headers["x-mine"] == "1"
    assert plain.idempotency_key == plain.headers["idempotency-key"]
    assert (streamed.prompt, streamed.stream, streamed.team) == (["a", "b"], True, None)


def test_no_repr_shows_a_token_or_a_prompt():
    with Endpoint("text") as endpoint:
        SyncFriendli("", server_url="https://user:secret@host.example").dedicated.completions.complete(
            model="demo", prompt="a secret prompt"
        )
    assert repr(endpoint.requests[0]) == (
        "<Request 1: POST https://host.example/dedicated/v1/completions model='demo' stream=False>"
    )
    assert repr(endpoint) == "<Endpoint: 1 requests, 0 replies unused>"


def test_requests_of_any_kind_are_told_and_answered():
    with Endpoint(default=raw(b"ok")) as endpoint, endpoint.http_client() as client:
        assert client.get("https://host.example/health?key=secret").content == b"ok"
        client.post("https://host.example/", content=b"[1]")
    asked, odd = endpoint.requests
    assert (asked.body, asked.model, asked.prompt, asked.stream) == ({}, None, None, False)
    assert repr(asked) == "<Request 1: GET https://host.example/health>"
    assert repr(odd) == "<Request 2: POST https://host.example/>"
    with pytest.raises(ValueError, match="> is no JSON object"):
        _ = odd.body


def test_threads_share_it_and_no_reply_is_used_twice():
    replies = [str(number) for number in range(200)]
    client = SyncFriendli()
    with Endpoint(*replies) as endpoint, ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda _: text(client.dedicated.completions.complete(**ASK)), range(200)))
    assert sorted(texts) == sorted(replies)
    assert [request.number for request in endpoint.requests] == list(range(1, 201))


def test_endpoints_nest_and_the_inner_one_answers():
    with Endpoint("outer") as outer:
        with Endpoint("inner"):
            assert text(SyncFriendli().dedicated.completions.complete(**ASK)) == "inner"
        assert text(SyncFriendli().dedicated.completions.complete(**ASK)) == "outer"
    assert len(outer.requests) == 1


def test_endpoints_stop_in_reverse_order_and_start_once():
    with Endpoint() as outer, Endpoint():
        with pytest.raises(RuntimeError, match="stop that one first"):
            outer.stop()
        with pytest.raises(RuntimeError, match="started already"):
            outer.start()
    outer.stop()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Endpoint("one", 2), "reply 2 should be a text, a reply or a function of a request, not int"),
        (lambda: Endpoint(["a", "b"]), r"not list; completion\(\[\.\.\.\]\) takes pieces"),
        (lambda: Endpoint(default=b"x"), "default should be a text"),
        (lambda: Endpoint().script(RuntimeError), "reply 1 should be a text"),
    ],
)
def test_what_is_no_reply_is_refused_when_it_is_scripted(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_what_a_function_returns_is_checked():
    def answer(request):
        return None

    with pytest.raises(TypeError, match="what answer returns should be a text"), Endpoint(answer):
        SyncFriendli().dedicated.completions.complete(**ASK)
