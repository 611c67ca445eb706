"""The two documented examples run word for word; only the ids differ, token and address come from the environment."""

from __future__ import annotations

import asyncio

import pytest
from sdk_stub import FIRST, RESULT, SECOND, answer, serving, streamed

from friendli import Friendli, models
from page_examples import COMPLETE, STREAM, run

SENT = {"prompt": "Say this is a test!", "model": "demo:route", "max_tokens": 200, "top_k": 1}


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("FRIENDLI_TOKEN", "flp_page")
    return serving


def test_the_complete_example_runs(endpoint, monkeypatch):
    with endpoint(lambda _: [answer(RESULT)]) as stub:
        names = run(COMPLETE, "demo:route", stub.url, monkeypatch)
        assert isinstance(names["res"], models.CompletionsResult)
        names.clear()
    assert stub.asked[0].json == SENT
    assert stub.asked[0].headers["authorization"] == "Bearer flp_page"


@pytest.mark.parametrize("events", [FIRST, SECOND], ids=["first generation", "second generation"])
def test_the_stream_example_prints_every_event(endpoint, monkeypatch, capsys, events):
    with endpoint(lambda _: streamed(events)) as stub:
        names = run(STREAM, "demo:route", stub.url, monkeypatch)
        names.clear()
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition("(")[0] for line in printed] == [
        "data=StreamedCompletionsTokenSampled",
        "data=StreamedCompletionsTokenSampled",
        "data=StreamedCompletionsTokenComplete",
    ]
    assert stub.asked[0].json == {**SENT, "stream": True, "stream_options": {"include_usage": True}}


def test_the_documented_client_awaits_the_same_calls(endpoint, monkeypatch):
    async def both() -> tuple[models.CompletionsResult, list[str]]:
        async with Friendli() as s:
            result = await s.dedicated.completions.complete_async(dedicated_completions_complete_body=SENT)
            stream = await s.dedicated.completions.stream_async(dedicated_completions_stream_body=SENT)
            return result, [event.data.event async for event in stream]

    with endpoint(lambda asked: streamed(SECOND) if asked.json.get("stream") else [answer(RESULT)]) as stub:
        monkeypatch.setenv("FRIENDLI_SERVER_URL", stub.url)
        result, kinds = asyncio.run(both())
    assert result.choices[0].text == "Hello you"
    assert kinds == ["token_sampled", "token_sampled", "complete"]
