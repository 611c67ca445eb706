"""What is told of each token: log-probabilities and logits, whole and in pieces."""

from __future__ import annotations

import base64
from array import array

import pytest
from server_kit import EOS, Server, body, byte_tokenizer, events, play, play_on_socket, says

from friendli import AsyncFriendli
from friendli._fold import CompletionFold
from friendli.models import CompletionsLogits, CompletionsLogprobs
from friendli_endpoint.engine.fake import FAKE_CARD, FakeEngine, scores_of
from friendli_endpoint.engine.vocabulary import Report, Request, Scores
from friendli_endpoint.server.logprobs import logprobs_of

FIRST = {"User-Agent": "speakeasy-sdk/python 0.3.0 2.452.0 1.0.0 friendli"}
VOCAB = FAKE_CARD.vocab_size
EURO = [r"bytes:\xe2", r"bytes:\x82", r"bytes:\xac"]


def _given(logprobs: dict[str, list[object]]) -> list[tuple[object, ...]]:
    assert list(logprobs) == ["text_offset", "token_logprobs", "tokens", "top_logprobs"]
    return list(zip(*logprobs.values(), strict=True))


def test_each_token_has_its_text_its_place_and_the_most_probable_beside_it() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(logprobs=2)).json()["choices"]
        assert _given(choice["logprobs"]) == [
            (0, -0.5, "a", {"a": -0.5, "b": -1.5}),
            (1, -1.5, "c", {"b": -0.5, "c": -1.5}),
        ]

    play(scenario, FakeEngine(script=says("ac")))


def test_the_chosen_token_is_always_told() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(logprobs=1)).json()["choices"]
        assert choice["logprobs"]["top_logprobs"] == [{"a": -0.5}, {"b": -0.5, "c": -1.5}]
        for fields in ({"logprobs": 0}, {"include_output_logprobs": True}):
            (choice,) = (await server.post(**fields)).json()["choices"]
            assert choice["logprobs"]["top_logprobs"] == [{"a": -0.5}, {"c": -1.5}]

    play(scenario, FakeEngine(script=says("ac")))


def test_tokens_that_look_the_same_are_told_by_the_more_probable_one() -> None:
    class Twins:
        """Tokens that differ by 1000 look the same."""

        def display(self, token: int) -> str:
            return chr(token % 1000)

    top = ((1097, -0.5), (98, -1.0), (97, -2.0))
    assert logprobs_of(Scores(-1.0, top), 98, 4, Twins()).top_logprobs == [{"a": -0.5, "b": -1.0}]
    assert logprobs_of(Scores(-7.0, top), 2097, 4, Twins()).token_logprobs == [-7.0]
    assert logprobs_of(Scores(-7.0, top), 2097, 4, Twins()).top_logprobs == [{"a": -0.5, "b": -1.0}]


def test_a_special_token_is_told_by_its_name() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(logprobs=0, forced_output_tokens=[97, EOS, 98])).json()["choices"]
        assert (choice["text"], choice["logprobs"]["text_offset"]) == ("ab", [0, 1, 1])
        assert choice["logprobs"]["tokens"] == ["a", byte_tokenizer().display(EOS), "b"]

    play(scenario)


def test_a_character_cut_between_tokens_has_one_place_and_its_tokens_their_bytes() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(logprobs=0)).json()["choices"]
        assert choice["text"] == "a€b"
        assert choice["logprobs"]["tokens"] == ["a", *EURO, "b"]
        assert choice["logprobs"]["text_offset"] == [0, 1, 1, 1, 2]

    play(scenario, FakeEngine(script=says("a€b")))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stop": ["€!"]}, "ab"),
        ({"stop_tokens": [{"tokens": [*"€!".encode()]}]}, "ab"),
        ({"max_tokens": 4}, "ab\ufffd"),
        ({"stop": ["a"]}, ""),
        ({"eos_token": [97]}, ""),
    ],
)
def test_a_choice_has_as_many_entries_as_tokens_wherever_it_is_cut(fields: dict[str, object], text: str) -> None:
    async def scenario(server: Server) -> None:
        asked = {"logprobs": 1, "max_tokens": 50} | fields
        (choice,) = (await server.post(**asked)).json()["choices"]
        assert choice["text"] == text
        assert len(_given(choice["logprobs"])) == len(choice["tokens"])
        *_, complete = events((await server.post(stream=True, headers=FIRST, **asked)).text)
        assert complete["choices"][0]["logprobs"] == choice["logprobs"]

    play(scenario, FakeEngine(script=says("ab€!c")))


def test_nothing_is_told_unasked() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post()).json()["choices"]
        assert choice["logprobs"] is None
        assert "output_logits" not in choice
        assert '"logprobs"' not in (await server.post(stream=True, headers=FIRST)).text
        assert '"output_logits"' not in (await server.post(stream=True)).text

    play(scenario)


FIELDS = [
    {"logprobs": 3},
    {"logprobs": 3, "stop": ["€!"], "n": 2},
    {"include_output_logits": True, "max_tokens": 5, "prompt": ["a", "b"]},
    {"include_output_logits": True, "logprobs": 0, "max_tokens": 5},
]


@pytest.mark.parametrize("fields", FIELDS, ids=["logprobs", "cut", "logits", "both"])
def test_a_stream_tells_each_token_with_its_piece_and_folds_to_the_plain_reply(fields: dict[str, object]) -> None:
    async def scenario(server: Server) -> None:
        plain = (await server.post(**fields)).json()["choices"]
        fold = CompletionFold()
        for event in events((await server.post(stream=True, **fields)).text):
            (choice,) = event["choices"]
            if choice["finish_reason"]:
                assert (choice["logprobs"], choice.get("output_logits")) == (None, None)
                fold.finish(choice["index"], choice["finish_reason"], choice["seed"])
                continue
            logprobs, logits = choice["logprobs"], choice.get("output_logits")
            assert [len(values) for values in (logprobs or {}).values()] in ([], [1] * 4)
            fold.token(
                choice["index"],
                choice["text"],
                choice["token"],
                logprobs and CompletionsLogprobs(**logprobs),
                CompletionsLogits(**logits).raw_rows() if logits else (),
            )
        assert [choice.model_dump(mode="json") for choice in fold.choices()] == plain

    play(scenario, FakeEngine(script=says("a€b€!c")))


@pytest.mark.parametrize("fields", FIELDS, ids=["logprobs", "cut", "logits", "both"])
def test_the_first_shape_tells_it_in_the_pieces_and_at_the_end(fields: dict[str, object]) -> None:
    async def scenario(server: Server) -> None:
        plain = (await server.post(**fields)).json()["choices"]
        *pieces, complete = events((await server.post(stream=True, headers=FIRST, **fields)).text)
        for choice, whole in zip(complete["choices"], plain, strict=True):
            for name in ("logprobs", "output_logits"):
                assert choice.get(name) == whole.get(name)
        of_first = [piece for piece in pieces if piece["index"] == 0]
        if "logprobs" in fields:
            assert [piece["logprobs"]["tokens"][0] for piece in of_first] == plain[0]["logprobs"]["tokens"]
        else:
            assert all("logprobs" not in piece for piece in of_first)
        assert all(("output_logits" in piece) == ("include_output_logits" in fields) for piece in pieces)

    play(scenario, FakeEngine(script=says("a€b€!c")))


def test_logits_are_rows_of_little_endian_float32() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(include_output_logits=True)).json()["choices"]
        assert choice["logprobs"] is None
        assert choice["output_logits"]["shape"] == [2, VOCAB]
        assert choice["output_logits"]["dtype"] == "float32"
        request = Request("", (1,), (1,), 2, report=Report(logits=True))
        rows = [scores_of(request, place, token, VOCAB).logits for place, token in enumerate(b"ac")]
        assert base64.b64decode(choice["output_logits"]["data"]) == b"".join(rows)

    play(scenario, FakeEngine(script=says("ac")))


def test_the_client_reads_both_in_either_way() -> None:
    async def scenario(server: Server) -> None:
        async with AsyncFriendli(token="t", server_url=server.url) as client:
            asked = body(logprobs=2, include_output_logits=True, prompt="Hi")
            whole = await client.dedicated.completions.complete(**asked)
            events = [event.data async for event in await client.dedicated.completions.stream(**asked)]
        (choice,) = whole.choices
        assert choice.logprobs.tokens == ["a", *EURO]
        assert choice.logprobs.text_offset == [0, 1, 1, 1]
        rows = choice.output_logits.rows()
        assert [row.index(max(row)) for row in rows] == choice.tokens
        assert [max(row) for row in rows] == [1.0, 2.0, 3.0, 4.0]
        assert events[-1].choices == whole.choices
        assert [event.logprobs.tokens for event in events[:-1]] == [[name] for name in choice.logprobs.tokens]
        assert [event.output_logits.rows() for event in events[:-1]] == [[row] for row in rows]
        assert all(isinstance(row, array) for row in rows)

    play_on_socket(scenario, FakeEngine(script=says("a€")))
