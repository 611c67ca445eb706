"""HTTP clients of the caller's own, with whatever they bring along, and what the environment says of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections import deque

import httpx2
import pytest
from sdk_stub import RESULT, SECOND, answer, serving, streamed
from sdk_worlds import World

from friendli import AsyncFriendli, SyncFriendli, errors
from friendli._transport import network
from friendli.hooks import Hooks
from friendli.testing import Endpoint, completion, failure

ASKED = {"model": "demo", "prompt": "Hi"}
OPERATIONS = pytest.mark.parametrize("operation", ["complete", "text"])
KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


class Own:
    """A client over an HTTP client that is made with `options`: `complete` and `text` give the text of an answer."""

    def __init__(self, kind: str, url: str = "http://host", **options: object) -> None:
        self.kind, self.url, self.options = kind, url, options
        self.settings = {"server_url": url, "timeout_ms": 10_000}

    def complete(self, **call: object) -> str:
        return self._run("complete", call).choices[0].text

    def raw(self, **call: object):
        return self._run("raw", call)

    def text(self, **call: object) -> str:
        return self._run("text", call)

    def _run(self, operation: str, call: dict[str, object]):
        call = {**ASKED, **call}
        if self.kind == "async":
            return asyncio.run(self._run_async(operation, call))
        with httpx2.Client(**self.options) as own:
            completions = SyncFriendli("flp_t", client=own, **self.settings).dedicated.completions
            if operation == "text":
                return completions.stream(**call).text()
            return (completions if operation == "complete" else completions.with_raw_response).complete(**call)

    async def _run_async(self, operation: str, call: dict[str, object]):
        async with httpx2.AsyncClient(**self.options) as own:
            completions = AsyncFriendli("flp_t", async_client=own, **self.settings).dedicated.completions
            if operation == "text":
                return await (await completions.stream(**call)).text()
            return await (completions if operation == "complete" else completions.with_raw_response).complete(**call)

    def hooked(self, blocking, awaited) -> Own:
        """With a hook that is called with each answer."""
        hook = awaited if self.kind == "async" else blocking
        return Own(self.kind, self.url, **self.options, event_hooks={"response": [hook]})


def mock(handler) -> httpx2.MockTransport:
    return httpx2.MockTransport(handler)


def whole(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json=RESULT)


def either(asked):
    return streamed(SECOND) if asked.json.get("stream") else [answer(RESULT)]


# What is raised below us


@KINDS
@OPERATIONS
def test_a_mock_that_runs_out_of_answers_is_no_answer_of_none(kind, operation):
    left = iter([])
    own = Own(kind, transport=mock(lambda _: next(left)))
    with pytest.raises((StopIteration, RuntimeError)):  # a coroutine turns the one into the other
        getattr(own, operation)()


def test_a_scripted_function_that_runs_out_of_answers_is_no_answer_of_none(caller):
    left = iter([])
    with Endpoint(default=lambda _: next(left)), pytest.raises((StopIteration, RuntimeError)):
        caller().complete(**ASKED)


@KINDS
def test_what_a_supplied_client_raises_of_its_own_comes_as_it_is(kind):
    def broken(_request):
        raise RuntimeError("a bug of the caller's")

    with pytest.raises(RuntimeError, match="a bug of the caller's"):
        Own(kind, transport=mock(broken)).complete()


async def _over_a_closed_one(operation: str, hooks: Hooks) -> None:
    http = httpx2.AsyncClient(transport=mock(whole))
    await http.aclose()
    completions = AsyncFriendli(async_client=http, hooks=hooks).dedicated.completions
    await getattr(completions, operation)(**ASKED)


def over_a_closed_one(kind: str, operation: str, hooks: Hooks) -> None:
    if kind == "async":
        asyncio.run(_over_a_closed_one(operation, hooks))
    with httpx2.Client(transport=mock(whole)) as http:
        completions = SyncFriendli(client=http, hooks=hooks).dedicated.completions
    getattr(completions, operation)(**ASKED)


@KINDS
@pytest.mark.parametrize("operation", ["complete", "stream"])
def test_a_supplied_client_that_is_closed_is_a_typed_error_that_says_so_at_once(kind, operation):
    seen: list = []
    with pytest.raises(errors.APIConnectionError, match="the HTTP client was closed") as caught:
        over_a_closed_one(kind, operation, Hooks(request=seen.append))
    assert (caught.value.attempts, len(seen)) == (1, 1)


class Closing(World):
    """Its first client is closed by somebody else at the moment of sending."""

    made = 0

    def client(self):
        class Closed(httpx2.Client):
            def send(self, *args, **more):
                friendli.close()
                return super().send(*args, **more)

        self.made += 1
        friendli = self.friendli
        kind = Closed if self.made == 1 else httpx2.Client
        return kind(transport=mock(self.answer))

    def async_client(self):
        class Closed(httpx2.AsyncClient):
            async def send(self, *args, **more):
                await friendli.aclose()
                return await super().send(*args, **more)

        self.made += 1
        friendli = self.friendli
        kind = Closed if self.made == 1 else httpx2.AsyncClient
        return kind(transport=mock(self.answer))


def test_a_call_whose_client_another_thread_closes_as_it_is_sent_is_sent_over_a_new_one():
    world = Closing(whole)
    with network.replaced(world), SyncFriendli() as world.friendli:
        assert world.friendli.dedicated.completions.complete(**ASKED).choices[0].text == "Hello you"
    assert world.made == 2


def test_a_call_whose_client_another_task_closes_as_it_is_sent_is_sent_over_a_new_one():
    async def main():
        async with AsyncFriendli() as world.friendli:
            return await world.friendli.dedicated.completions.complete(**ASKED)

    world = Closing(whole)
    with network.replaced(world):
        assert asyncio.run(main()).choices[0].text == "Hello you"
    assert world.made == 2


# Hooks of the HTTP client


def read(response):
    response.read()


async def aread(response):
    await response.aread()


def strict(response):
    response.raise_for_status()


async def astrict(response):
    response.raise_for_status()


def read_strict(response):
    response.read()
    response.raise_for_status()


async def aread_strict(response):
    await response.aread()
    response.raise_for_status()


@KINDS
@OPERATIONS
def test_an_answer_that_a_hook_has_read_is_read_again(kind, operation):
    with serving(either) as stub:
        own = Own(kind, stub.url).hooked(read, aread)
        assert getattr(own, operation)() == "Hello you"


@KINDS
@OPERATIONS
@pytest.mark.parametrize(("hooks", "message"), [((strict, astrict), "422"), ((read_strict, aread_strict), "too many")])
def test_a_hook_that_raises_for_a_status_leaves_the_error_of_that_status(kind, operation, hooks, message):
    refusal = answer({"error": {"message": "too many", "field": "n"}}, 422, x_request_id="req-1")
    with serving(lambda _: [refusal]) as stub:
        own = Own(kind, stub.url).hooked(*hooks)
        with pytest.raises(errors.UnprocessableEntityError, match=message) as caught:
            getattr(own, operation)()
    assert (caught.value.status_code, caught.value.request_id) == (422, "req-1")
    assert caught.value.field == ("n" if message == "too many" else None)


@KINDS
def test_a_hook_that_raises_for_a_status_does_not_keep_it_from_being_tried_again(kind):
    answers = iter([answer({}, 500), answer(RESULT)])
    with serving(lambda _: [next(answers)]) as stub:
        assert Own(kind, stub.url).hooked(strict, astrict).complete() == "Hello you"


def consume(response):
    deque(response.iter_raw())


async def aconsume(response):
    async for _ in response.aiter_raw():
        pass


@KINDS
@pytest.mark.parametrize(
    ("operation", "kind_of_error"), [("complete", errors.APIConnectionError), ("text", errors.StreamTruncatedError)]
)
def test_a_hook_that_has_used_the_body_up_is_named(kind, operation, kind_of_error):
    with serving(either) as stub, pytest.raises(kind_of_error, match="hook"):
        getattr(Own(kind, stub.url).hooked(consume, aconsume), operation)()


# Who one is


class Challenged(httpx2.Auth):
    """Asks first, and says who it is when it is asked back."""

    def auth_flow(self, request):
        refusal = yield request
        if refusal.status_code == 401:
            request.headers["authorization"] = f"Mine {refusal.headers['www-authenticate']}"
            yield request


@KINDS
@OPERATIONS
def test_an_authentication_that_takes_two_requests_is_gone_through(kind, operation):
    def script(asked):
        known = asked.headers["authorization"] == "Mine nonce"
        return either(asked) if known else [answer({}, 401, www_authenticate="nonce")]

    with serving(script) as stub:
        assert getattr(Own(kind, stub.url, auth=Challenged()), operation)() == "Hello you"
    assert [asked.headers["authorization"] for asked in stub.asked] == ["Bearer flp_t", "Mine nonce"]


@pytest.mark.parametrize("where", ["client", "call", "hook"])
def test_an_authorization_of_ones_own_wins_over_the_token(caller, where):
    own = {"Authorization": "Own key"}
    hooks = Hooks(request=lambda event: event.headers.update({"authorization": "Own key"}))
    settings = {"client": {"http_headers": own}, "hook": {"hooks": hooks}, "call": {}}[where]
    with Endpoint("Hi") as endpoint:
        caller(token="flp_t", **settings).complete(**ASKED, **({"http_headers": own} if where == "call" else {}))
    assert endpoint.requests[0].headers["authorization"] == "Own key"


def test_the_team_of_a_call_wins_over_the_headers_of_the_client(caller):
    with Endpoint("Hi", "Hi", "Hi") as endpoint:
        client = caller(http_headers={"X-Friendli-Team": "headers"})
        client.complete(**ASKED)
        client.complete(**ASKED, x_friendli_team="call")
        client.complete(**ASKED, x_friendli_team="call", http_headers={"x-friendli-team": "last"})
    assert [request.team for request in endpoint.requests] == ["headers", "call", "last"]


def cookies(asked):
    return [answer(RESULT, set_cookie="sid=team-a")]


def test_what_one_team_was_given_does_not_go_along_with_another_ones_call():
    with serving(cookies) as stub, SyncFriendli(server_url=stub.url) as client:
        for team in "ab":
            client.dedicated.completions.complete(**ASKED, x_friendli_team=team)
    assert [asked.headers.get("cookie") for asked in stub.asked] == [None, None]


def test_what_one_team_was_given_does_not_go_along_with_another_ones_call_async():
    async def main():
        async with AsyncFriendli(server_url=stub.url) as client:
            for team in "ab":
                await client.dedicated.completions.complete(**ASKED, x_friendli_team=team)

    with serving(cookies) as stub:
        asyncio.run(main())
    assert [asked.headers.get("cookie") for asked in stub.asked] == [None, None]


@KINDS
def test_the_cookies_of_a_client_of_ones_own_go_along(kind):
    with serving(either) as stub:
        Own(kind, stub.url, cookies={"sid": "mine"}).complete()
    assert stub.asked[0].headers["cookie"] == "sid=mine"


# The HTTP library's response


@KINDS
def test_the_response_of_a_call_has_its_content(kind):
    with serving(either) as stub:
        raw = Own(kind, stub.url).raw()
    response = raw.http_response
    assert (response.json(), response.text.encode(), response.content) == (RESULT, raw.content, raw.content)
    assert (response.status_code, response.is_closed, response.request.method) == (200, True, "POST")
    assert str(response.url) == f"{stub.url}/dedicated/v1/completions"
    assert response.headers["content-type"] == "application/json"


@KINDS
def test_the_response_of_a_compressed_answer_has_it_as_it_was_meant(kind):
    packed = answer(gzip.compress(json.dumps(RESULT).encode()), content_encoding="gzip")
    with serving(lambda _: [packed]) as stub:
        raw = Own(kind, stub.url).raw()
    assert raw.http_response.json() == json.loads(raw.content) == RESULT


def test_the_response_of_an_error_has_its_content(caller):
    with Endpoint(failure(422, "no", field="n")), pytest.raises(errors.UnprocessableEntityError) as caught:
        caller().complete(**ASKED)
    assert caught.value.raw_response.json()["error"]["field"] == "n"
    assert caught.value.raw_response.text == caught.value.body
    with pytest.raises(httpx2.HTTPStatusError, match="422"):
        caught.value.raw_response.raise_for_status()


def test_the_response_of_an_unreadable_answer_has_its_content(caller):
    page = answer(b"<html>", content_type="text/html")
    with serving(lambda _: [page]) as stub, pytest.raises(errors.InvalidResponseError) as caught:
        caller(server_url=stub.url).complete(**ASKED)
    assert caught.value.raw_response.text == "<html>"


# HTTP/2


class Endless(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Goes on after the end of the events, as one that is told apart from the next answer may."""

    def __init__(self) -> None:
        self.further = 0

    def __iter__(self):
        yield from SECOND
        while True:
            self.further += 1
            yield b": more\n\n"

    async def __aiter__(self):
        for each in self:
            yield each


@KINDS
def test_a_stream_over_http_2_ends_without_waiting_for_what_follows(kind):
    body = Endless()
    head = {"headers": {"content-type": "text/event-stream"}, "extensions": {"http_version": b"HTTP/2"}}
    assert Own(kind, transport=mock(lambda _: httpx2.Response(200, stream=body, **head))).text() == "Hello you"
    assert body.further == 0


# The environment


@pytest.mark.parametrize(
    ("name", "proxy", "message"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", r"httpx2\[socks\]"),
        ("HTTP_PROXY", "socks9://127.0.0.1:1", "HTTP_PROXY"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_typed_error_that_says_what_to_do(caller, monkeypatch, name, proxy, message):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, proxy)
    with pytest.raises(errors.InvalidRequestError, match=message):
        caller(server_url="http://127.0.0.1:9").complete(**ASKED)


def test_the_proxies_of_the_environment_do_not_matter_to_a_scripted_endpoint(caller, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks9://127.0.0.1:1")
    with Endpoint(completion("Hi")):
        assert caller().complete(**ASKED).choices[0].text == "Hi"
