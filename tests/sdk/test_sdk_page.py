"""The two documented examples run word for word; only the ids differ, and the token comes from the environment."""

from __future__ import annotations

import asyncio

import pytest

from friendli import Friendli, models
from friendli.testing import Endpoint, completion
from page_examples import COMPLETE, STREAM, run

SENT = {"prompt": "Say this is a test!", "model": "demo:route", "max_tokens": 200, "top_k": 1}
REPLY = completion(["Hello", " you"])


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("FRIENDLI_TOKEN", "flp_page")


def test_the_complete_example_runs(monkeypatch):
    with Endpoint(REPLY) as endpoint:
        names = run(COMPLETE, "demo:route", "https://page.example", monkeypatch)
    assert isinstance(names["res"], models.CompletionsResult)
    assert endpoint.requests[0].body == SENT
    assert endpoint.requests[0].headers["authorization"] == "Bearer flp_page"


@pytest.mark.parametrize("generation", [1, 2])
def test_the_stream_example_prints_every_event(monkeypatch, capsys, generation):
    with Endpoint(REPLY, generation=generation) as endpoint:
        run(STREAM, "demo:route", "https://page.example", monkeypatch)
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition("(")[0] for line in printed] == [
        "data=StreamedCompletionsTokenSampled",
        "data=StreamedCompletionsTokenSampled",
        "data=StreamedCompletionsTokenComplete",
    ]
    assert endpoint.requests[0].body == {**SENT, "stream": True, "stream_options": {"include_usage": True}}
    assert endpoint.open_streams == 0


def test_the_documented_client_awaits_the_same_calls():
    async def both() -> tuple[models.CompletionsResult, list[str]]:
        async with Friendli() as s:
            result = await s.dedicated.completions.complete_async(dedicated_completions_complete_body=SENT)
            stream = await s.dedicated.completions.stream_async(dedicated_completions_stream_body=SENT)
            return result, [event.data.event async for event in stream]

    with Endpoint(default=REPLY):
        result, kinds = asyncio.run(both())
    assert result.choices[0].text == "Hello you"
    assert kinds == ["token_sampled", "token_sampled", "complete"]
