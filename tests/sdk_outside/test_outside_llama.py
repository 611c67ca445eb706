"""The client against llama.cpp's HTTP server, which knows nothing of it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from outside_kit import PATH, TOKEN

from friendli import AsyncFriendli, SyncFriendli, errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outside_kit import Llama

    from friendli.models import CompletionsResult, StreamedCompletionsResult

pytestmark = [pytest.mark.real, pytest.mark.reference]

GREEDY = {"model": "demo", "prompt": "The sea at night", "max_tokens": 24, "temperature": 0}
COUNT = {
    "model": "demo",
    "prompt": "Count on and on: 1, 2, 3, 4, 5, 6, 7, 8, 9,",
    "max_tokens": 200,
    "temperature": 0,
}
LATEST = 60  # seconds until which what has to happen must have happened


@contextmanager
def opened(llama: Llama, **more) -> Iterator[SyncFriendli]:
    with SyncFriendli(**{"token": TOKEN, "server_url": llama.url, "completions_path": PATH, **more}) as client:
        yield client


def opened_async(llama: Llama) -> AsyncFriendli:
    return AsyncFriendli(TOKEN, server_url=llama.url, completions_path=PATH)


def complete(llama: Llama, **body) -> CompletionsResult:
    with opened(llama) as client:
        return client.dedicated.completions.complete(**body)


def complete_async(llama: Llama, **body) -> CompletionsResult:
    async def main():
        async with opened_async(llama) as client:
            return await client.dedicated.completions.complete(**body)

    return asyncio.run(main())


def stream(llama: Llama, **body) -> tuple[list[StreamedCompletionsResult], CompletionsResult]:
    with opened(llama) as client, client.dedicated.completions.stream(**body) as events:
        return list(events), events.final()


def stream_async(llama: Llama, **body) -> tuple[list[StreamedCompletionsResult], CompletionsResult]:
    async def main():
        async with opened_async(llama) as client, await client.dedicated.completions.stream(**body) as events:
            return [event async for event in events], await events.final()

    return asyncio.run(main())


def becomes(state: Callable[[], object], wanted: object) -> bool:
    """Whether `state` gives `wanted` before it is too late; the server has no other way to say it."""
    end = time.monotonic() + LATEST
    while (now := state()) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    return now == wanted


@pytest.mark.parametrize("call", [complete, complete_async])
def test_a_result_has_what_was_asked_for_and_what_the_server_adds(llama, call):
    result = call(llama, **GREEDY)
    (choice,) = result.choices
    assert choice.text
    assert choice.finish_reason == "length"
    assert result.usage.completion_tokens == 24
    assert result.timings["predicted_n"] == 24
    assert result.system_fingerprint
    assert result.model_dump()["timings"] == result.timings


@pytest.mark.parametrize("follow", [stream, stream_async])
def test_a_stream_adds_up_to_the_result(llama, follow):
    whole = complete(llama, **GREEDY)
    events, final = follow(llama, **GREEDY)
    assert "".join(event.data.text for event in events[:-1]) == whole.choices[0].text
    assert [choice.text for choice in final.choices] == [choice.text for choice in whole.choices]
    assert [choice.finish_reason for choice in final.choices] == ["length"]
    assert final.usage.total_tokens == whole.usage.total_tokens


def test_several_choices_are_told_apart(llama):
    events, final = stream(llama, **GREEDY | {"n": 2, "temperature": 1.5, "seed": 3})
    first, second = (choice.text for choice in final.choices)
    assert first != second
    for index, text in enumerate((first, second)):
        assert "".join(event.data.text for event in events[:-1] if event.data.index == index) == text


def test_a_seed_makes_sampling_repeatable(llama):
    asked = GREEDY | {"temperature": 1.5, "top_k": 50}
    texts = [complete(llama, **asked, seed=seed).choices[0].text for seed in (5, 5, 6)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.parametrize("call", [complete, lambda llama, **body: stream(llama, **body)[1]])
def test_a_stop_phrase_ends_the_text_where_the_unstopped_one_has_it(llama, call):
    whole = call(llama, **GREEDY).choices[0].text
    phrase = whole[20:26]
    stopped = call(llama, **GREEDY, stop=[phrase, "not in there"])
    assert stopped.choices[0].text == whole[: whole.index(phrase)]
    assert stopped.choices[0].finish_reason == "stop"


def test_log_probabilities_in_the_servers_own_shape_are_kept(llama):
    asked = GREEDY | {"max_tokens": 3, "logprobs": 2}
    whole = complete(llama, **asked).choices[0].logprobs.content
    pieces = [event.data.logprobs.content for event in stream(llama, **asked)[0][:-1]]
    assert [len(entry["top_logprobs"]) for entry in whole] == [2, 2, 2]
    assert [[entry["token"] for entry in piece] for piece in pieces] == [[entry["token"]] for entry in whole]


def test_a_list_of_prompts_gives_a_choice_for_each(llama):
    result = complete(llama, **GREEDY | {"prompt": ["One, two,", "The sun is"], "max_tokens": 2})
    assert [choice.index for choice in result.choices] == [0, 1]


@pytest.mark.parametrize("call", [complete, complete_async, stream, stream_async])
def test_what_the_server_refuses_is_a_typed_error_with_its_words(llama, call):
    with pytest.raises(errors.BadRequestError, match="exceeds the available context size") as caught:
        call(llama, **GREEDY | {"prompt": "word " * 600})
    assert caught.value.status_code == 400
    assert caught.value.type == "exceed_context_size_error"
    assert "n_prompt_tokens" in caught.value.body


def test_a_wrong_token_and_a_wrong_path_are_typed_errors(llama):
    with opened(llama, token="flp_wrong") as client, pytest.raises(errors.AuthenticationError, match="Invalid API Key"):
        client.dedicated.completions.complete(**GREEDY)
    with opened(llama, completions_path="/v1/nothing") as client, pytest.raises(errors.NotFoundError):
        client.dedicated.completions.complete(**GREEDY)


def test_a_stream_that_is_closed_early_frees_its_slot(llama):
    before = llama.generated()
    with opened(llama) as client, client.dedicated.completions.stream(**COUNT) as events:
        next(events)
        assert llama.busy() == 1
        events.close()
        assert becomes(llama.busy, 0)
    assert llama.generated() - before < COUNT["max_tokens"] / 2


def test_an_async_stream_that_is_closed_early_frees_its_slot(llama):
    async def main():
        async with opened_async(llama) as client, await client.dedicated.completions.stream(**COUNT) as events:
            await anext(events)
            assert await asyncio.to_thread(llama.busy) == 1
            await events.aclose()
            assert await asyncio.to_thread(becomes, llama.busy, 0)

    before = llama.generated()
    asyncio.run(main())
    assert llama.generated() - before < COUNT["max_tokens"] / 2


def test_an_error_inside_a_stream_is_typed_and_has_the_text_so_far(llama):
    """Two requests fit the context one at a time, but not together."""

    def follow(_number):
        texts = []
        with opened(llama) as client, pytest.raises(errors.APIStreamError, match="Context size") as caught:
            texts.extend(event.data.text for event in client.dedicated.completions.stream(**COUNT))
        return texts, caught.value

    with ThreadPoolExecutor(2) as pool:
        for texts, error in pool.map(follow, range(2)):
            assert len(texts) > 50
            assert error.text == "".join(texts)
            assert error.type == "server_error"
    assert complete(llama, **GREEDY).choices[0].text


def test_of_many_calls_at_once_each_gets_its_own_answer(llama):
    """Told by the length of the prompt: the same prompt need not have the same text in another batch there."""
    bodies = [GREEDY | {"prompt": " word" * length, "max_tokens": length} for length in range(1, 13)]

    async def main():
        async with opened_async(llama) as client:
            return await asyncio.gather(*(client.dedicated.completions.complete(**body) for body in bodies))

    usages = [(result.usage.prompt_tokens, result.usage.completion_tokens) for result in asyncio.run(main())]
    assert usages == [(length, length) for length in range(1, 13)]
