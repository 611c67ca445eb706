"""What is wrong: a type checker says so on each line that names an error code, and on no other. Checked, never run."""

from __future__ import annotations

from friendli import AsyncFriendli, Friendli, SyncFriendli, models, utils
from friendli.hooks import Hooks, RetryEvent
from friendli.testing import Endpoint, failure


def token_of(name: str) -> str:
    return name


def clients() -> None:
    Friendli(tokn="flp_token")  # error: call-arg
    Friendli("flp_token", None)  # error: call-arg
    Friendli(token=token_of)  # error: arg-type
    Friendli(timeout_ms="1000")  # error: arg-type
    Friendli(timeout_ms=1.5)  # error: arg-type
    Friendli(retry_config={"strategy": "backoff"})  # error: arg-type
    SyncFriendli(async_client=None)  # error: call-arg
    AsyncFriendli(client=None)  # error: call-arg
    Friendli(http_headers={"x-a": 1})  # error: dict-item
    Friendli(hooks=print)  # error: arg-type
    Friendli(hooks=Hooks(retry=token_of))  # error: arg-type
    Friendli(debug_logger="stderr")  # error: arg-type
    Friendli(server_idx="eu")  # error: arg-type


def keywords(client: Friendli) -> None:
    completions = client.dedicated.completions
    completions.complete(prompt="Hi")  # error: call-overload
    completions.complete(model="demo", prompt="Hi", max_token=5)  # error: call-overload
    completions.complete(model="demo", prompt="Hi", max_tokens="5")  # error: call-overload
    completions.complete(model="demo", prompt="Hi", temperature="hot")  # error: call-overload
    completions.complete(model="demo", prompt=7)  # error: call-overload
    completions.complete(model="demo", prompt="Hi", stop="\n")  # error: call-overload
    completions.complete(model="demo", prompt="Hi", beam_search_type="GREEDY")  # error: call-overload
    completions.complete(model="demo", prompt="Hi", response_format={"type": "yaml"})  # error: call-overload
    completions.complete(model="demo", prompt="Hi", response_format="json_object")  # error: call-overload
    completions.complete(model="demo", prompt="Hi", timeout_ms="1000")  # error: call-overload
    completions.complete("demo", "Hi")  # error: call-overload
    completions.stream(model="demo", prompt="Hi", retries=3)  # error: call-overload


def bodies(client: Friendli) -> None:
    completions = client.dedicated.completions
    complete_body = models.DedicatedCompletionsCompleteBody(model="demo", prompt="Hi")
    completions.complete(dedicated_completions_complete_body={"prompt": "Hi"})  # error: call-overload
    completions.complete(dedicated_completions_complete_body={"model": "demo", "max": 5})  # error: call-overload
    completions.complete(dedicated_completions_complete_body=complete_body, max_tokens=5)  # error: call-overload
    completions.complete(dedicated_completions_complete_body="Hi")  # error: call-overload
    completions.complete(dedicated_completions_stream_body={"model": "demo"})  # error: call-overload
    completions.stream(dedicated_completions_stream_body=complete_body)  # error: call-overload
    models.DedicatedCompletionsCompleteBody(prompt="Hi")  # error: call-arg
    models.DedicatedCompletionsCompleteBody(model="demo", max_tokens="5")  # error: arg-type
    models.DedicatedCompletionsCompleteBody(model="demo", stream=True)  # error: arg-type
    body: models.CompletionsFields = {"model": "demo", "promt": "Hi"}  # error: typeddict-unknown-key
    body["max_tokens"] = "5"  # error: typeddict-item


def results(client: SyncFriendli) -> None:
    result = client.dedicated.completions.complete(model="demo", prompt="Hi")
    print(result.text)  # error: attr-defined
    print(result.choices[0].logprobs.tokens)  # error: union-attr
    for event in client.dedicated.completions.stream(model="demo", prompt="Hi"):
        print(event.data.text)  # error: union-attr
        if event.data.event == "complete":
            print(event.data.token)  # error: attr-defined
    print([part.text for part in result])  # error: attr-defined


async def awaited(client: AsyncFriendli, blocking: SyncFriendli, documented: Friendli) -> None:
    await blocking.dedicated.completions.complete(model="demo", prompt="Hi")  # error: misc
    await documented.dedicated.completions.stream(model="demo", prompt="Hi")  # error: misc
    print(client.dedicated.completions.complete(model="demo", prompt="Hi").choices)  # error: attr-defined
    stream = await client.dedicated.completions.stream(model="demo", prompt="Hi")
    for _ in stream:  # error: attr-defined
        pass
    async for _ in blocking.dedicated.completions.stream(model="demo", prompt="Hi"):  # error: attr-defined
        pass
    with stream:  # error: attr-defined
        pass
    print(stream.final().choices)  # error: attr-defined
    with client:  # error: attr-defined
        pass
    blocking.dedicated.completions.complete_async(model="demo", prompt="Hi")  # error: attr-defined


def frozen(client: Friendli, event: RetryEvent) -> None:
    client.dedicated.completions = client.dedicated.completions  # error: misc
    event.wait = 0.0  # error: misc
    utils.TimeoutConfig().total_ms = 5  # error: misc


def raw(client: Friendli) -> None:
    answer = client.dedicated.completions.with_raw_response.complete(model="demo", prompt="Hi")
    print(answer.choices)  # error: attr-defined
    print(answer.parse().nothing)  # error: attr-defined
    client.dedicated.completions.with_raw_response.complete(prompt="Hi")  # error: call-overload


def scripted() -> None:
    Endpoint(7)  # error: arg-type
    Endpoint(token_of, scripted)  # error: arg-type
    failure("busy")  # error: arg-type
