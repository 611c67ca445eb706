"""Both shapes of the stream, byte for byte."""

from __future__ import annotations

import re

import pytest
from server_kit import Server, play, says

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.sse import wants_first_generation

FIRST = {"User-Agent": "speakeasy-sdk/python 0.3.0 2.452.0 1.0.0 friendli"}

TODAY = """\
data: {"id":"ID","object":"text_completion","model":"demo","choices":[{"index":0,"text":"O","token":79,"finish_reason":null,"logprobs":null}],"created":NOW}

data: {"id":"ID","object":"text_completion","model":"demo","choices":[{"index":0,"text":"k","token":107,"finish_reason":null,"logprobs":null}],"created":NOW}

data: {"id":"ID","object":"text_completion","model":"demo","choices":[{"index":0,"text":"","finish_reason":"stop","logprobs":null,"seed":1}],"created":NOW}

"""  # noqa: E501 - these are the bytes

USAGE = """\
data: {"id":"ID","object":"text_completion","model":"demo","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":0}},"created":NOW}

"""  # noqa: E501

DONE = "data: [DONE]\n\n"

FIRST_SHAPE = """\
data: {"event":"token_sampled","index":0,"text":"O","token":79}

data: {"event":"token_sampled","index":0,"text":"k","token":107}

data: {"event":"complete","choices":[{"index":0,"seed":1,"text":"Ok","tokens":[79,107]}],"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}}

data: [DONE]

"""  # noqa: E501


SCORED = """\
data: {"id":"ID","object":"text_completion","model":"demo","choices":[{"index":0,"text":"O","token":79,"finish_reason":null,"logprobs":{"text_offset":[0],"token_logprobs":[-0.5],"tokens":["O"],"top_logprobs":[{"O":-0.5}]}}],"created":NOW}

data: {"id":"ID","object":"text_completion","model":"demo","choices":[{"index":0,"text":"","finish_reason":"length","logprobs":null,"seed":1}],"created":NOW}

"""  # noqa: E501

FIRST_SCORED = """\
data: {"event":"token_sampled","index":0,"text":"O","token":79,"logprobs":{"text_offset":[0],"token_logprobs":[-0.5],"tokens":["O"],"top_logprobs":[{"O":-0.5}]}}

data: {"event":"complete","choices":[{"index":0,"seed":1,"text":"O","tokens":[79],"logprobs":{"text_offset":[0],"token_logprobs":[-0.5],"tokens":["O"],"top_logprobs":[{"O":-0.5}]}}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}

"""  # noqa: E501


def _fixed(text: str) -> str:
    """With the id and the time, which differ from stream to stream, put aside."""
    text = re.sub(r'"id":"cmpl-[0-9a-f]{32}"', '"id":"ID"', text)
    return re.sub(r'"created":\d{10}\b', '"created":NOW', text)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, TODAY + DONE),
        ({"stream_options": {"include_usage": True}}, TODAY + USAGE + DONE),
        ({"stream_options": {"include_usage": False}}, TODAY + DONE),
    ],
    ids=["plain", "usage", "no-usage"],
)
def test_todays_shape(fields: dict[str, object], expected: str) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(stream=True, **fields)
        assert _fixed(reply.text) == expected
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"

    play(scenario, FakeEngine(script=says("Ok")))


def test_the_first_generation_gets_its_own_shape_with_the_usage_always() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post(stream=True, headers=FIRST)).text == FIRST_SHAPE

    play(scenario, FakeEngine(script=says("Ok")))


def test_both_shapes_tell_log_probabilities_that_were_asked_for() -> None:
    async def scenario(server: Server) -> None:
        asked = {"stream": True, "logprobs": 1, "max_tokens": 1}
        assert _fixed((await server.post(**asked)).text) == SCORED + DONE
        assert (await server.post(**asked, headers=FIRST)).text == FIRST_SCORED + DONE

    play(scenario, FakeEngine(script=says("Ok")))


def test_one_id_and_one_time_run_through_a_stream() -> None:
    async def scenario(server: Server) -> None:
        text = (await server.post(stream=True, n=3)).text
        assert len(set(re.findall(r'"id":"([^"]*)"', text))) == 1
        assert len(set(re.findall(r'"created":(\d*)', text))) == 1

    play(scenario)


@pytest.mark.parametrize(
    ("agent", "first"),
    [
        ("speakeasy-sdk/python 0.3.0 2.452.0 1.0.0 friendli", True),
        ("speakeasy-sdk/python 0.3.16 2.461.4 1.0.0 friendli", True),
        ("speakeasy-sdk/python 0.3.23", True),
        ("speakeasy-sdk/python 0.3.24 2.479.3 1.0.0 friendli", False),
        ("speakeasy-sdk/python 0.14.2 2.1 1.0.0 friendli-core", False),
        ("speakeasy-sdk/python 0.30.1", False),
        ("speakeasy-sdk/python 10.3.1", False),
        ("speakeasy-sdk/typescript 0.3.1", False),
        ("OpenAI/Python 2.0.0", False),
        ("", False),
    ],
)
def test_the_shape_is_chosen_by_the_clients_release(agent: str, first: bool) -> None:
    assert wants_first_generation(agent) is first


def test_line_ends_in_the_text_never_break_an_event() -> None:
    async def scenario(server: Server) -> None:
        text = (await server.post(stream=True, max_tokens=20)).text
        assert all(line.startswith("data: ") for line in text.split("\n") if line)
        assert "\r" not in text

    play(scenario, FakeEngine(script=says("a\r\nb\n\nc\rd\x0b\x85")))
