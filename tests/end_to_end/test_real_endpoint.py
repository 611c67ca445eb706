"""The whole way on the real model: SDK, HTTP, scheduler, paged graph, tokens, stream, SDK."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from serving_kit import serve

from friendli import AsyncFriendli, Friendli
from page_examples import COMPLETE, STREAM, run

if TYPE_CHECKING:
    from pathlib import Path

    from serving_kit import Served

    from friendli.models import CompletionsChoice

pytestmark = pytest.mark.real

SENTENCE = "the sea at night holds more light than any lamp that people carried down to watch it"
WORDS = SENTENCE.split()
PROMPTS = [" ".join(WORDS[i % 7 :] + WORDS[: i % 5]) + "," * (i % 3) for i in range(24)]


USER = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
KINDS: list[dict[str, object]] = [
    {"temperature": 0},
    {"temperature": 0.9, "top_p": 0.9},
    {"temperature": 1.2, "top_k": 40, "n": 2},
    {"repetition_penalty": 1.2, "frequency_penalty": 0.3, "no_repeat_ngram": 3, "bad_words": [" the"], "min_p": 0.05},
    {"num_beams": 4, "length_penalty": 0.8, "logprobs": 1},
    {"xtc_probability": 0.5, "xtc_threshold": 0.1, "min_tokens": 8, "logprobs": 3},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": USER}}},
    {"num_beams": 3, "beam_search_type": "STOCHASTIC"},
    {"response_format": {"type": "regex", "schema": "[a-z]{4,9}( [a-z]{3,8}){2,4}[.]"}, "temperature": 0.8},
    {"forced_output_tokens": [281, 3575, 282, 4649, 30], "logprobs": 2},
    {"num_beams": 2, "beam_search_type": "NAIVE_SAMPLING", "temperature": 0.9, "presence_penalty": 0.5},
    {"token_index_to_replace": [1], "embedding_to_replace": [0.01 * (k % 7) for k in range(576)], "stop": [". "]},
    {"stop_tokens": [{"tokens": [28]}, {"tokens": [30]}], "temperature": 0, "seed": [5]},
]


def body(i: int) -> dict[str, object]:
    """Request i of a mixed load: each kind about twice, short and long."""
    return {"model": "demo", "prompt": PROMPTS[i], "max_tokens": 16 + i, "seed": i, **KINDS[i % len(KINDS)]}


async def completed(client: AsyncFriendli, i: int) -> list[CompletionsChoice]:
    result = await client.dedicated.completions.complete(**body(i))
    return result.choices


def test_the_documented_examples_run_as_they_are_written(served: Served, monkeypatch, capsys):
    completed = run(COMPLETE, "demo", served.url, monkeypatch)["res"]
    last = run(STREAM, "demo", served.url, monkeypatch)["event"]
    assert last.data.event == "complete"
    assert last.data.choices[0].text == completed.choices[0].text
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_the_line_of_curl_works_when_pasted(served: Served):
    reply = subprocess.run(served.curl, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    events = [line.removeprefix("data: ") for line in reply.stdout.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    (ended,) = (choice["finish_reason"] for choice in json.loads(events[-2])["choices"])
    assert ended in ("stop", "length")


def test_every_kind_of_request_has_the_same_answer_alone_and_under_load(served: Served):
    async def main() -> None:
        async with AsyncFriendli(server_url=served.url) as client:
            together = await asyncio.gather(*(completed(client, i) for i in range(len(PROMPTS))))
            alone = [await completed(client, i) for i in range(len(PROMPTS))]
            assert together == alone

    asyncio.run(main())


def test_killing_the_engine_under_load_changes_no_token(served: Served):
    async def main() -> None:
        async with AsyncFriendli(server_url=served.url) as client:
            before = [await completed(client, i) for i in range(len(KINDS))]
            stream = await client.dedicated.completions.stream(**body(5))
            others = [asyncio.create_task(completed(client, i)) for i in range(len(KINDS)) if i != 5]
            streamed = []
            async for event in stream:
                if event.data.event == "token_sampled":
                    streamed.append(event.data.token)
                if len(streamed) == 8 and event.data.event == "token_sampled":
                    os.kill(served.engine_pid, signal.SIGKILL)
            assert streamed == before[5][0].tokens
            assert await asyncio.gather(*others) == [*before[:5], *before[6:]]

    asyncio.run(main())


def test_a_prompt_that_comes_again_is_read_from_the_cache_and_gives_the_same_text(served: Served):
    with Friendli(server_url=served.url) as client:
        asked = {"model": "demo", "prompt": " ".join([SENTENCE] * 20), "max_tokens": 12, "temperature": 0, "seed": 1}
        first, second = (client.dedicated.completions.complete(**asked) for _ in range(2))
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens >= second.usage.prompt_tokens - 34
    assert first.choices == second.choices


def test_a_stop_phrase_ends_the_text_where_the_unstopped_one_has_it(served: Served):
    with Friendli(server_url=served.url) as client:
        asked = {"model": "demo", "prompt": "One, two, three,", "max_tokens": 40, "temperature": 0}
        whole = client.dedicated.completions.complete(**asked).choices[0].text
        phrase = whole[11:15]
        stopped = client.dedicated.completions.complete(**asked, stop=[phrase, "not in there"])
    assert stopped.choices[0].text == whole[: whole.index(phrase)]
    assert stopped.choices[0].finish_reason == "stop"


def test_what_matches_a_schema_is_json_of_that_schema(served: Served):
    with Friendli(server_url=served.url) as client:
        asked = body(6) | {"max_tokens": 60, "n": 4, "seed": 1}
        choices = client.dedicated.completions.complete(**asked).choices
    ended = [json.loads(choice.text) for choice in choices if choice.finish_reason == "stop"]
    assert ended
    assert all(list(user) == ["name", "age"] and isinstance(user["age"], int) for user in ended)


def test_the_engine_ends_with_its_server_even_when_that_is_killed(default_model: Path):
    each = serve(default_model)
    engine = os.pidfd_open(each.engine_pid)
    each.process.kill()
    each.process.communicate()
    ended, _, _ = select.select([engine], [], [], 30)
    os.close(engine)
    assert ended
