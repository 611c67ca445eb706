"""`with_raw_response` gives the answer around the result, and a stream can be folded, timed and asked for its text."""

from __future__ import annotations

import asyncio
import json

import pytest

from friendli import AsyncCompletionStream, AsyncFriendli, CompletionStream, Friendli, RawResponse, SyncFriendli, errors
from friendli.testing import Endpoint, choice, completion, failure

ASKED = {"model": "demo", "prompt": "Hi"}
REPLY = completion(
    ["Hello", " you"], finish_reason="length", seed=7, headers={"x-request-id": "req-1"}, delay=2, pace=1
)


def test_the_answer_around_a_result_is_there():
    with Endpoint(failure(500), REPLY) as endpoint, SyncFriendli() as client:
        answer = client.dedicated.completions.with_raw_response.complete(**ASKED)
    assert isinstance(answer, RawResponse)
    assert (answer.status_code, answer.request_id, answer.retries_taken) == (200, "req-1", 1)
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)["choices"][0]["text"] == answer.parse().choices[0].text == "Hello you"
    assert answer.elapsed == pytest.approx(2 + sum(endpoint.waits))
    assert answer.http_response.status_code == 200
    assert "Hello" not in repr(answer)


def test_the_answer_around_a_stream_comes_with_its_head():
    with Endpoint(REPLY) as endpoint, SyncFriendli() as client:
        answer = client.dedicated.completions.with_raw_response.stream(**ASKED)
        assert (answer.elapsed, answer.content, answer.parse()) == (2, b"", answer.parse())
        assert isinstance(answer.parse(), CompletionStream)
        assert endpoint.open_streams == 1
        assert answer.parse().final().choices[0].text == "Hello you"
    assert endpoint.open_streams == 0


def test_the_async_methods_have_it_too():
    async def main() -> None:
        async with AsyncFriendli() as client, Friendli() as both:
            whole = await client.dedicated.completions.with_raw_response.complete(**ASKED)
            events = await client.dedicated.completions.with_raw_response.stream(**ASKED)
            other = await both.dedicated.completions.with_raw_response.complete_async(**ASKED)
            assert [whole.parse().choices[0].text, await events.parse().text()] == ["Hello you", "Hello you"]
            assert isinstance(events.parse(), AsyncCompletionStream)
            assert other.request_id == "req-1"

    with Endpoint(default=REPLY):
        asyncio.run(main())


def test_a_raw_call_raises_as_the_plain_one_does():
    with Endpoint(failure(404, "no such endpoint")), Friendli() as client, pytest.raises(errors.NotFoundError):
        client.dedicated.completions.with_raw_response.complete(**ASKED)


@pytest.mark.parametrize("generation", [1, 2])
def test_a_stream_folds_to_what_complete_would_have_given(generation):
    reply = completion(
        choices=[choice(["a", "b"], seed=1), choice("c d", seed=2)], generation=generation, extra={"id": "1"}
    )
    with Endpoint(reply, reply), SyncFriendli() as client:
        whole = client.dedicated.completions.complete(**ASKED)
        stream = client.dedicated.completions.stream(**ASKED)
        first = next(stream)
        assert stream.final() == stream.final() == whole
        assert stream.text() == "ab"
        assert list(stream) == []
    assert first.data.text == "a"


def test_the_time_to_the_first_token_counts_from_the_call():
    with Endpoint(failure(503, retry_after=5), REPLY) as endpoint, SyncFriendli() as client:
        stream = client.dedicated.completions.stream(**ASKED)
        assert stream.time_to_first_token is None
        stream.text()
    assert stream.time_to_first_token == pytest.approx(endpoint.waits[0] + 2)


def test_the_async_stream_has_the_same_helpers():
    async def main() -> None:
        async with AsyncFriendli() as client:
            stream = await client.dedicated.completions.stream(**ASKED)
            assert await stream.text() == "Hello you"
            assert (await stream.final()).usage.completion_tokens == 2
            assert (stream.time_to_first_token, stream.request_id) == (2, "req-1")

    with Endpoint(REPLY):
        asyncio.run(main())


def test_a_stream_that_failed_fails_again_and_says_the_same():
    with Endpoint(completion("Hello you", then="reset")), SyncFriendli() as client:
        stream = client.dedicated.completions.stream(**ASKED)
        with pytest.raises(errors.StreamTruncatedError) as first:
            list(stream)
        for ask in (stream.final, stream.text):
            with pytest.raises(errors.StreamTruncatedError) as again:
                ask()
            assert again.value is first.value


def test_a_stream_that_was_closed_early_has_no_final_result_but_its_text_so_far():
    with Endpoint("Hello you"), SyncFriendli() as client:
        with client.dedicated.completions.stream(**ASKED) as stream:
            next(stream)
        with pytest.raises(errors.StreamTruncatedError, match="closed before its end") as caught:
            stream.final()
    assert caught.value.text == "Hello"


def test_a_stream_without_usage_has_a_text_but_no_result():
    with Endpoint("Hello you"), SyncFriendli() as client:
        stream = client.dedicated.completions.stream(**ASKED, stream_options={"include_usage": False})
        assert stream.text() == "Hello you"
        with pytest.raises(errors.InvalidResponseError, match="no usage"):
            stream.final()
        assert stream.text() == "Hello you"
