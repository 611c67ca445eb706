"""What users write: a strict type checker has nothing to say about any of it. Checked, never run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, assert_type

from friendli import (
    AsyncCompletionStream,
    AsyncFriendli,
    CompletionStream,
    Friendli,
    RawResponse,
    SDKError,
    SyncFriendli,
    errors,
    models,
    telemetry,
    utils,
)
from friendli.hooks import CallInfo, EndEvent, ErrorEvent, Hooks, RequestEvent, ResponseEvent, RetryEvent
from friendli.testing import Endpoint, Request, completion, failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping


def token() -> str:
    return "flp_fresh"


def log_retry(event: RetryEvent) -> None:
    assert_type(event.call, CallInfo)
    assert_type(event.wait, float)
    print(event.attempt, event.error.status_code)


def clients() -> None:
    Friendli()
    Friendli("flp_token", server_url="https://{team}.example", url_params={"team": "a"}, server_idx=0)
    Friendli(token=token, timeout_ms=1_000, x_friendli_team="a", http_headers={"x-a": "b"})
    SyncFriendli(token=None, timeout_ms=utils.TimeoutConfig(connect_ms=1_000), retry_config=None)
    AsyncFriendli(retry_config=utils.UNSET, completions_path="/v1/completions")
    backoff = utils.BackoffStrategy(500, 60_000, 1.5, 3_600_000, jitter_ms=10)
    Friendli(retry_config=utils.RetryConfig("backoff", backoff, retry_connection_errors=True))
    Friendli(debug_logger=logging.getLogger("friendli"))
    Friendli(hooks=Hooks(retry=log_retry, end=lambda event: print(event.elapsed)))
    Friendli(hooks=[telemetry.spans(), telemetry.metrics(), Hooks(request=trace)])


def trace(event: RequestEvent) -> str:
    event.headers["x-trace"] = event.call.idempotency_key
    return "what a hook returns does not matter"


def hook_events(response: ResponseEvent, failed: ErrorEvent, end: EndEvent) -> None:
    assert_type(response.status, int)
    assert_type(response.request_id, str | None)
    assert_type(failed.error, SDKError)
    assert_type(end.result, models.CompletionsResult | None)
    assert_type(end.time_to_first_token, float | None)


def bodies(client: Friendli) -> None:
    completions = client.dedicated.completions
    completions.complete(model="demo", prompt="Hi", max_tokens=5, temperature=0, seed=7)
    completions.complete(model="demo", prompt=["Hi", "Ho"], stop=["\n"], n=2, seed=[1, 2], timeout_ms=100, retries=None)
    completions.complete(
        model="demo", tokens=[1, 2], bad_word_tokens=[{"tokens": [3]}, models.TokenSequence(tokens=[4])]
    )
    completions.complete(model="demo", prompt="Hi", response_format={"type": "json_object"})
    completions.complete(model="demo", prompt="Hi", response_format={"type": "regex", "schema": "a+"})
    completions.complete(
        model="demo",
        prompt="Hi",
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        x_friendli_team="a",
        http_headers={"x-a": "b"},
        server_url="http://127.0.0.1:8080",
    )
    completions.complete(dedicated_completions_complete_body={"model": "demo", "prompt": "Hi", "max_tokens": 5})
    completions.complete(dedicated_completions_body={"model": "demo", "prompt": "Hi"}, timeout_ms=1_000)
    completions.complete(
        dedicated_completions_complete_body=models.DedicatedCompletionsCompleteBody(
            model="demo", prompt="Hi", response_format=models.ResponseFormatRegex(type="regex", schema="a+")
        ),
        timeout_ms=1_000,
    )
    completions.stream(dedicated_completions_stream_body={"model": "demo", "prompt": "Hi", "stream": True})
    completions.stream(
        dedicated_completions_stream_body=models.DedicatedCompletionsStreamBody(model="demo", prompt="Hi")
    )
    body: models.CompletionsFields = {"model": "demo", "prompt": "Hi"}
    completions.complete(**body)
    completions.complete(dedicated_completions_complete_body=body)


def results(client: SyncFriendli) -> str:
    result = client.dedicated.completions.complete(model="demo", prompt="Hi", logprobs=2)
    assert_type(result, models.CompletionsResult)
    assert_type(result.usage.total_tokens, int)
    choice = result.choices[0]
    assert_type(choice, models.CompletionsChoice)
    assert_type(choice.finish_reason, str | None)
    assert_type(choice.tokens, list[int])
    if choice.logprobs is not None:
        assert_type(choice.logprobs.token_logprobs, list[float | None] | None)
    return choice.text


def text_of(event: models.StreamedCompletionsResult) -> str | models.CompletionsUsage | None:
    if event.data.event == "token_sampled":
        assert_type(event.data, models.StreamedCompletionsTokenSampled)
        assert_type(event.data.token, int | None)
        return event.data.text
    assert_type(event.data, models.StreamedCompletionsTokenComplete)
    assert_type(event.data.choices, list[models.CompletionsChoice])
    return event.data.usage


def matched(event: models.StreamedCompletionsResult) -> str:
    match event.data:
        case models.StreamedCompletionsTokenSampled(text=text):
            return text
        case models.StreamedCompletionsTokenComplete(choices=choices):
            return choices[0].text


def streams(client: Friendli) -> Iterator[str]:
    stream = client.dedicated.completions.stream(model="demo", prompt="Hi")
    assert_type(stream, CompletionStream)
    assert_type(next(stream), models.StreamedCompletionsResult)
    assert_type(stream.request_id, str | None)
    assert_type(stream.time_to_first_token, float | None)
    for event in stream:
        assert_type(event.data.event, Literal["token_sampled", "complete"])
        if event.data.event == "token_sampled":
            yield event.data.text
    stream.close()
    with client.dedicated.completions.stream(model="demo", prompt="Hi") as opened:
        assert_type(opened, CompletionStream)
        assert_type(opened.text(), str)
        assert_type(opened.final(), models.CompletionsResult)


async def awaited(client: AsyncFriendli) -> AsyncIterator[str]:
    completions = client.dedicated.completions
    assert_type(await completions.complete(model="demo", prompt="Hi"), models.CompletionsResult)
    await completions.complete(dedicated_completions_complete_body={"model": "demo", "prompt": "Hi"}, timeout_ms=5)
    stream = await completions.stream(model="demo", prompt="Hi")
    assert_type(stream, AsyncCompletionStream)
    async for event in stream:
        assert_type(event, models.StreamedCompletionsResult)
        if event.data.event == "token_sampled":
            yield event.data.text
    await stream.aclose()
    async with await completions.stream(model="demo", prompt="Hi") as opened:
        assert_type(opened, AsyncCompletionStream)
        assert_type(await opened.text(), str)
        assert_type(await opened.final(), models.CompletionsResult)


async def both(client: Friendli) -> None:
    completions = client.dedicated.completions
    assert_type(await completions.complete_async(model="demo", prompt="Hi"), models.CompletionsResult)
    assert_type(await completions.stream_async(model="demo", prompt="Hi"), AsyncCompletionStream)


def raw(client: Friendli) -> Mapping[str, str]:
    answer = client.dedicated.completions.with_raw_response.complete(model="demo", prompt="Hi")
    assert_type(answer, RawResponse[models.CompletionsResult])
    assert_type(answer.parse(), models.CompletionsResult)
    assert_type((answer.status_code, answer.retries_taken, answer.content), tuple[int, int, bytes])
    assert_type((answer.request_id, answer.elapsed), tuple[str | None, float])
    stream = client.dedicated.completions.with_raw_response.stream(
        dedicated_completions_stream_body={"model": "demo", "prompt": "Hi"}
    )
    assert_type(stream, RawResponse[CompletionStream])
    return answer.headers


async def raw_awaited(client: AsyncFriendli, documented: Friendli) -> None:
    completions = client.dedicated.completions.with_raw_response
    assert_type(await completions.complete(model="demo", prompt="Hi"), RawResponse[models.CompletionsResult])
    assert_type(await completions.stream(model="demo", prompt="Hi"), RawResponse[AsyncCompletionStream])
    both = documented.dedicated.completions.with_raw_response
    assert_type(await both.complete_async(model="demo", prompt="Hi"), RawResponse[models.CompletionsResult])
    assert_type(await both.stream_async(model="demo", prompt="Hi"), RawResponse[AsyncCompletionStream])


def blocks() -> None:
    with Friendli() as documented, SyncFriendli() as blocking:
        assert_type(documented, Friendli)
        assert_type(blocking, SyncFriendli)


async def async_blocks() -> None:
    async with Friendli() as documented, AsyncFriendli() as awaiting:
        assert_type(documented, Friendli)
        assert_type(awaiting, AsyncFriendli)


def failures(client: Friendli) -> str | None:
    try:
        client.dedicated.completions.complete(model="demo", prompt="Hi")
    except errors.RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except errors.StreamTruncatedError as error:
        assert_type(error.text, str)
    except errors.APIError as error:
        return error.type or error.field
    except SDKError as error:
        assert_type((error.status_code, error.attempts), tuple[int, int])
        return error.request_id
    return None


def capital(request: Request) -> str:
    assert_type(request.prompt, str | list[str] | None)
    return " Lima"


def scripted(result: models.CompletionsResult) -> None:
    with Endpoint("Hello", failure(503), completion(["pie", "ces"]), capital, result, default="Bye") as endpoint:
        assert_type(endpoint, Endpoint)
        assert_type(endpoint.requests[0].stream, bool)
    SyncFriendli(client=endpoint.http_client())
    AsyncFriendli(async_client=endpoint.async_http_client())
