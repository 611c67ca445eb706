"""Streams as other servers send them, through the client, in pieces of every size."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from friendli import AsyncFriendli, SyncFriendli, models
from sdk.sdk_stub import LAST_CHUNK, STREAM_HEAD, answer, chunk, serving

RECORDED = Path(__file__).with_name("recorded")
NAMES = sorted(path.name.partition(".")[0] for path in RECORDED.glob("*.stream.txt"))
ASKED = {"model": "demo", "prompt": "Hi"}
SIZES = [None, 1, 7]


def stream_of(name: str) -> bytes:
    return (RECORDED / f"{name}.stream.txt").read_bytes()


def whole_of(name: str) -> dict:
    return json.loads((RECORDED / f"{name}.whole.txt").read_bytes())


def in_pieces(content: bytes, size: int | None) -> list[bytes]:
    size = size or len(content)
    pieces = [content[begin : begin + size] for begin in range(0, len(content), size)]
    return [STREAM_HEAD, b"".join(map(chunk, pieces)), LAST_CHUNK]


def replayed(url: str) -> tuple[list[models.StreamedCompletionsResult], models.CompletionsResult]:
    with SyncFriendli(server_url=url) as client, client.dedicated.completions.stream(**ASKED) as stream:
        return list(stream), stream.final()


def replayed_async(url: str) -> tuple[list[models.StreamedCompletionsResult], models.CompletionsResult]:
    async def main():
        async with (
            AsyncFriendli(server_url=url) as client,
            await client.dedicated.completions.stream(**ASKED) as stream,
        ):
            return [event async for event in stream], await stream.final()

    return asyncio.run(main())


@pytest.mark.parametrize("replay", [replayed, replayed_async])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_adds_up_to_the_answer_that_is_not_streamed(name, size, replay):
    whole = whole_of(name)
    with serving(lambda _asked: in_pieces(stream_of(name), size)) as stub:
        events, final = replay(stub.url)

    *pieces, end = events
    assert [event.data.event for event in pieces] == ["token_sampled"] * len(pieces)
    assert end.data.event == "complete"
    assert end.data.choices == final.choices
    assert [choice.index for choice in final.choices] == [choice["index"] for choice in whole["choices"]]
    for choice, expected in zip(final.choices, whole["choices"], strict=True):
        assert choice.text == expected["text"]
        assert "".join(event.data.text for event in pieces if event.data.index == choice.index) == expected["text"]
        assert choice.finish_reason == (None if name == "friendli_first" else expected["finish_reason"])
        assert choice.tokens == expected.get("tokens", [])
        assert choice.seed == expected.get("seed")
    for count in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert getattr(final.usage, count) == whole["usage"][count]


@pytest.mark.parametrize("name", NAMES)
def test_log_probabilities_add_up_too(name):
    with serving(lambda _asked: in_pieces(stream_of(name), 7)) as stub:
        _, final = replayed(stub.url)
    for choice, expected in zip(final.choices, whole_of(name)["choices"], strict=True):
        lists = (expected["logprobs"] or {}).items()
        if name != "llama_cpp":  # it has a shape of its own, which only the pieces keep
            assert [(key, getattr(choice.logprobs, key)) for key, _ in lists] == list(lists)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_keeps_every_field_that_is_in_it(name):
    whole = whole_of(name)
    with serving(lambda _asked: [answer(whole)]) as stub, SyncFriendli(server_url=stub.url) as client:
        result = client.dedicated.completions.complete(**ASKED)
    assert missing_from(result.model_dump(), whole) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_piece_keeps_every_field_of_its_choice_and_the_whole_says_whose_it_is(name):
    chunks = chunks_of(name)
    with serving(lambda _asked: in_pieces(stream_of(name), 7)) as stub:
        (*pieces, _), final = replayed(stub.url)
    if name == "friendli_first":
        sent = chunks[:-1]
    else:
        sent = [choice for each in chunks for choice in each["choices"] if choice["text"]]
    for piece, choice in zip(pieces, sent, strict=True):
        choice.pop("finish_reason", None)  # of the whole choice
        assert missing_from(piece.data.model_dump(), choice) == []
    for field in ("id", "object", "model"):
        assert getattr(final, field) == chunks[-1].get(field)


def chunks_of(name: str) -> list[dict]:
    lines = stream_of(name).decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def missing_from(dump: object, whole: object, place: str = "") -> list[str]:
    """The places of `whole` whose values are not in `dump`."""
    if isinstance(whole, dict) and isinstance(dump, dict):
        return [gap for key in whole for gap in missing_from(dump.get(key, ...), whole[key], f"{place}.{key}")]
    if isinstance(whole, list) and isinstance(dump, list) and len(whole) == len(dump):
        return [gap for i, each in enumerate(whole) for gap in missing_from(dump[i], each, f"{place}[{i}]")]
    return [] if dump == whole else [place]
