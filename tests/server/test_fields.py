"""Field by field: a right value reaches the engine, a wrong one is refused by name, a neutral one asks for nothing."""

from __future__ import annotations

import json
import struct

import msgspec
import pytest
from server_kit import EOS, Server, play, says

from friendli.models import CompletionsBody
from friendli_endpoint.engine.fake import FAKE_CARD, FakeEngine
from friendli_endpoint.engine.vocabulary import Beams, Controls, Embeddings, Grammar, ModelCard, Report, Request
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.order.bounds import check_report

VOCAB = FAKE_CARD.vocab_size
CONTEXT = FAKE_CARD.longest_sequence
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
OBJECT = Grammar("json_schema", '{"type":"object"}')

# field -> (a right value, what else the body needs, the part of the Request that it becomes, what that part is then).
RIGHT: dict[str, list[tuple[object, dict[str, object], str, object]]] = {
    "prompt": [("abc", {}, "prompt", tuple(b"abc")), (["a", "b"], {}, "prompt", tuple(b"a"))],
    "tokens": [([1, EOS], {"prompt": None}, "prompt", (1, EOS))],
    "max_tokens": [(7, {}, "max_tokens", 7)],
    "max_total_tokens": [(9, {"max_tokens": None}, "max_tokens", 7)],
    "min_tokens": [(8, {}, "controls.min_tokens", 8)],
    "min_total_tokens": [(6, {}, "controls.min_tokens", 4), (1, {}, "controls.min_tokens", 0)],
    "n": [(3, {"seed": 5}, "seeds", (5, 6, 7))],
    "seed": [(9, {}, "seeds", (9,)), ([4, 2], {"n": 2}, "seeds", (4, 2))],
    "temperature": [(0.5, {}, "controls.temperature", 0.5), (0, {}, "controls.temperature", 0.0)],
    "top_k": [(3, {}, "controls.top_k", 3)],
    "top_p": [(0.25, {}, "controls.top_p", 0.25)],
    "min_p": [(0.1, {}, "controls.min_p", 0.1)],
    "xtc_threshold": [(0.2, {}, "controls.xtc_threshold", 0.2)],
    "xtc_probability": [(0.5, {}, "controls.xtc_probability", 0.5)],
    "frequency_penalty": [(-2, {}, "controls.frequency_penalty", -2.0)],
    "presence_penalty": [(1.5, {}, "controls.presence_penalty", 1.5)],
    "repetition_penalty": [(0.8, {}, "controls.repetition_penalty", 0.8)],
    "no_repeat_ngram": [(3, {}, "controls.no_repeat_ngram", 3)],
    "bad_words": [(["no", " é"], {}, "controls.bad_words", (tuple(b"no"), tuple(" é".encode())))],
    "bad_word_tokens": [
        ([{"tokens": [1, 2]}], {}, "controls.bad_words", ((1, 2),)),
        ([{"tokens": [1]}], {"bad_words": ["a"]}, "controls.bad_words", ((97,), (1,))),
    ],
    "eos_token": [([3, 4], {}, "eos_tokens", (3, 4))],
    "response_format": [
        ({"type": "json_object"}, {}, "controls.grammar", OBJECT),
        (
            {"type": "json_object", "schema": json.dumps(SCHEMA)},
            {},
            "controls.grammar",
            Grammar("json_schema", json.dumps(SCHEMA)),
        ),
        (
            {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
            {},
            "controls.grammar",
            Grammar("json_schema", json.dumps(SCHEMA)),
        ),
        ({"type": "regex", "schema": "a+"}, {}, "controls.grammar", Grammar("regex", "a+")),
    ],
    "forced_output_tokens": [
        ([1, 2, 3], {}, "controls.forced", (1, 2, 3)),
        ([1, 2, 3], {"max_tokens": None}, "max_tokens", 3),
        ([1, 2, 3], {"max_tokens": 2}, "max_tokens", 2),
        ([1, 2, 3], {"max_tokens": 100}, "max_tokens", 3),
    ],
    "token_index_to_replace": [
        (
            [1, 0],
            {"embedding_to_replace": [1, 2.5, 3, 4]},
            "embeddings",
            Embeddings((0, 1), struct.pack("<4f", 3, 4, 1, 2.5)),
        )
    ],
    "embedding_to_replace": [
        ([1, 2], {"token_index_to_replace": [1]}, "embeddings", Embeddings((1,), struct.pack("<2f", 1, 2))),
        ([1, 2], {"token_index_to_replace": [0], "prompt": ["a"]}, "embeddings.positions", (0,)),
    ],
    "logprobs": [(0, {}, "report", Report(0)), (64, {}, "report", Report(64))],
    "include_output_logprobs": [(True, {}, "report", Report(0)), (True, {"logprobs": 3}, "report", Report(3))],
    "include_output_logits": [(True, {}, "report", Report(None, True)), (True, {"logprobs": 1}, "report.logprobs", 1)],
    "num_beams": [(4, {}, "beams", Beams(4)), (1, {}, "beams", Beams(1))],
    "beam_search_type": [
        ("STOCHASTIC", {"num_beams": 2, "temperature": 0.5}, "beams", Beams(2, "STOCHASTIC")),
        ("NAIVE_SAMPLING", {"num_beams": 2, "top_k": 5}, "beams.kind", "NAIVE_SAMPLING"),
    ],
    "length_penalty": [(0.5, {"num_beams": 2}, "beams.length_penalty", 0.5)],
    "early_stopping": [(True, {"num_beams": 2}, "beams.early_stopping", True)],
    "beam_compat_pre_normalization": [(True, {"num_beams": 2}, "beams.pre_normalize", True)],
    "beam_compat_no_post_normalization": [
        (True, {"num_beams": 2, "beam_compat_pre_normalization": True}, "beams.post_normalize", False)
    ],
    "stop_tokens": [([{"tokens": [1, 2]}], {"num_beams": 2}, "beams.stop_tokens", ((1, 2),))],
}

# Of these the engine is told nothing; tests of their own show what they do.
ELSEWHERE = {"model", "stop", "stream", "stream_options", "timeout_microseconds"}
ENCODER = {"encoder_repetition_penalty", "encoder_no_repeat_ngram"}

# field -> (a wrong value, what else the body needs).
WRONG: dict[str, list[tuple[object, dict[str, object]]]] = {
    "tokens": [([VOCAB], {"prompt": None})],
    "max_tokens": [(CONTEXT, {})],
    "max_total_tokens": [(2, {"max_tokens": None}), (CONTEXT + 1, {"max_tokens": None})],
    "min_tokens": [(9, {}), (CONTEXT - 1, {"max_tokens": None})],
    "min_total_tokens": [(11, {}), (CONTEXT + 1, {"max_tokens": None})],
    "top_k": [(VOCAB + 1, {})],
    "xtc_threshold": [(1.1, {})],
    "frequency_penalty": [(2.1, {})],
    "repetition_penalty": [(0, {})],
    "no_repeat_ngram": [(0, {})],
    "encoder_repetition_penalty": [(1.1, {})],
    "encoder_no_repeat_ngram": [(2, {})],
    "bad_words": [(["x"] * 257, {}), (["a", "x" * 65], {}), (["x" * 10**6], {})],
    "bad_word_tokens": [
        ([{"tokens": [1]}] * 257, {}),
        ([{"tokens": [1] * 65}], {}),
        ([{"tokens": [VOCAB]}], {}),
        ([{"tokens": []}], {}),
    ],
    "stop": [(["x"] * 65, {}), (["x" * 1001], {})],
    "stop_tokens": [
        ([{"tokens": [1]}] * 65, {}),
        ([{"tokens": [1] * 65}], {}),
        ([{"tokens": [1]}, {"tokens": [1, VOCAB]}], {}),
    ],
    "eos_token": [([VOCAB], {})],
    "response_format": [
        ({"type": "json_object", "schema": "{"}, {}),
        ({"type": "json_object", "schema": "[]"}, {}),
        ({"type": "json_object", "schema": '{"a":1,"a":2}'}, {}),
        ({"type": "json_object", "schema": "[" * 10_000}, {}),
        ({"type": "json_schema", "json_schema": {"schema": "{}"}}, {}),
        ({"type": "regex"}, {}),
    ],
    "forced_output_tokens": [([VOCAB], {}), ([1] * CONTEXT, {"max_tokens": None})],
    "token_index_to_replace": [
        ([2], {"embedding_to_replace": [1, 2]}),
        ([1, 1], {"embedding_to_replace": [1, 2, 3, 4]}),
        ([0], {"embedding_to_replace": [1, 2], "prompt": ["a", "b"]}),
    ],
    "embedding_to_replace": [
        ([1, 2, 3], {"token_index_to_replace": [0]}),
        ([1, 1e39], {"token_index_to_replace": [0]}),
    ],
    "logprobs": [(65, {}), (64, {"max_tokens": None, "n": 64})],
    "include_output_logits": [
        (True, {"max_tokens": None}),
        (True, {"max_tokens": 500, "n": 60}),
        (True, {"max_tokens": 500, "prompt": ["a"] * 60}),
    ],
    "num_beams": [(32, {})],
    "length_penalty": [(2.0, {})],
    "timeout_microseconds": [(0, {})],
}

NEUTRAL: dict[str, list[object]] = {
    "min_tokens": [0],
    "min_total_tokens": [0, 2],
    "n": [1],
    "temperature": [1],
    "top_k": [0],
    "top_p": [1],
    "min_p": [0],
    "xtc_threshold": [0],
    "xtc_probability": [0],
    "frequency_penalty": [0],
    "presence_penalty": [0],
    "repetition_penalty": [1],
    "encoder_repetition_penalty": [1, 1.0],
    "no_repeat_ngram": [1],
    "encoder_no_repeat_ngram": [1],
    "bad_words": [[]],
    "bad_word_tokens": [[]],
    "stop": [[]],
    "stop_tokens": [[]],
    "eos_token": [[]],
    "response_format": [{"type": "text"}],
    "forced_output_tokens": [[]],
    "token_index_to_replace": [[]],
    "embedding_to_replace": [[]],
    "stream": [False],
    "stream_options": [{}, {"include_usage": False}],
    "include_output_logprobs": [False],
    "include_output_logits": [False],
    "beam_search_type": ["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"],
    "length_penalty": [1.0],
    "early_stopping": [False],
    "beam_compat_pre_normalization": [False],
    "beam_compat_no_post_normalization": [False],
}


def _part(request: Request, path: str) -> object:
    value: object = request
    for name in path.split("."):
        value = getattr(value, name)
    return value


def test_every_field_has_its_rows() -> None:
    assert set(RIGHT) | ELSEWHERE | ENCODER == set(CompletionsBody.model_fields)


@pytest.mark.parametrize("field", RIGHT)
def test_a_right_value_reaches_the_engine(field: str) -> None:
    async def scenario(server: Server) -> None:
        for value, more, path, expected in RIGHT[field]:
            reply = await server.post(**{**more, field: value})
            assert reply.status_code == 200, reply.text
            prompts = len(value) if field == "prompt" and isinstance(value, list) else 1
            assert _part(server.engine.submitted[-prompts], path) == expected

    play(scenario)


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_value_is_a_422_that_names_its_field(field: str) -> None:
    async def scenario(server: Server) -> None:
        for value, more in WRONG[field]:
            reply = await server.post(**{**more, field: value})
            error = reply.json()["error"]
            assert reply.status_code == 422, (field, value)
            assert error["field"].partition(".")[0] == field, error
            assert field in error["message"], error
            assert len(error["message"]) < 400
        assert not server.engine.submitted

    play(scenario)


def test_neutral_values_ask_for_nothing_alone_and_all_together() -> None:
    async def scenario(server: Server) -> None:
        await server.post()
        for field, values in NEUTRAL.items():
            for value in values:
                reply = await server.post(**{field: value})
                assert reply.status_code == 200, reply.text
        reply = await server.post(**{field: values[-1] for field, values in NEUTRAL.items() if field != "min_tokens"})
        assert reply.status_code == 200, reply.text
        plain, *others = (msgspec.structs.replace(request, id="") for request in server.engine.submitted)
        assert all(other == plain for other in others)
        assert (plain.controls, plain.report, plain.beams, plain.embeddings) == (Controls(), Report(), None, None)

    play(scenario)


def test_encoder_fields_say_what_to_use_instead() -> None:
    async def scenario(server: Server) -> None:
        for field, value in {"encoder_repetition_penalty": 1.2, "encoder_no_repeat_ngram": 3}.items():
            message = (await server.post(**{field: value})).json()["error"]["message"]
            assert "decoder-only" in message
            assert f"use {field.removeprefix('encoder_')}" in message

    play(scenario)


@pytest.mark.parametrize("report", [Report(64), Report(None, True)])
def test_a_search_counts_what_it_keeps_of_all_its_beams(report: Report) -> None:
    asked = Request("r", (1,), (1,), 1000, report=report, beams=Beams(8))
    check_report([asked], FAKE_CARD)
    with pytest.raises(RequestError, match="num_beams"):
        check_report([msgspec.structs.replace(asked, beams=Beams(31))], FAKE_CARD)


def test_bounds_are_told() -> None:
    async def scenario(server: Server) -> None:
        for fields, told in (
            ({"logprobs": 65}, "at most 64"),
            ({"include_output_logits": True, "max_tokens": 400, "n": 64}, f"at most {2 * 2**20 // VOCAB} rows"),
            ({"logprobs": 64, "max_tokens": 400, "n": 64}, "at most 524288 values"),
            ({"bad_words": ["x"] * 257}, "at most 256"),
            ({"stop_tokens": [{"tokens": [1] * 65}]}, "at most 64 sequences of at most 64 tokens"),
            ({"token_index_to_replace": [5], "embedding_to_replace": [1, 2]}, "from 0 to 1"),
            ({"token_index_to_replace": [0, 1], "embedding_to_replace": [1, 2]}, "need 4: 2 for each"),
        ):
            assert told in (await server.post(**fields)).json()["error"]["message"]

    play(scenario)


def test_a_search_that_would_hold_up_everybody_is_refused() -> None:
    async def scenario(server: Server) -> None:
        drawn = {"num_beams": 31, "beam_search_type": "NAIVE_SAMPLING", "max_tokens": 1}
        assert (await server.post(**drawn)).status_code == 200
        error = (await server.post(**drawn, eos_token=list(range(16)))).json()["error"]
        assert (error["field"], "eos_token" in error["message"]) == ("num_beams", True)

    play(scenario)


def test_beams_have_to_fit_the_cache_together() -> None:
    small = ModelCard("fake", "fake", VOCAB, 512, 32, kv_blocks=16, weights="none", hidden_size=2)

    async def scenario(server: Server) -> None:
        await server.post(num_beams=4, max_tokens=None)
        assert server.engine.submitted[0].max_tokens == small.most_tokens(2, 4) == 126
        for fields, field in (
            ({"max_tokens": 127}, "max_tokens"),
            ({"max_tokens": None, "max_total_tokens": 129}, "max_total_tokens"),
            ({"num_beams": 17, "max_tokens": 1}, "num_beams"),
        ):
            error = (await server.post(**({"num_beams": 4} | fields))).json()["error"]
            assert error["field"] == field
            assert "num_beams" in error["message"]
        assert (await server.post(num_beams=4, max_tokens=None, max_total_tokens=128)).status_code == 200

    play(scenario, FakeEngine(small))


def test_a_lower_bound_is_each_prompts_own() -> None:
    async def scenario(server: Server) -> None:
        await server.post(prompt=["a", "abc"], min_total_tokens=5)
        assert [request.controls.min_tokens for request in server.engine.submitted] == [4, 2]

    play(scenario)


def test_stop_tokens_end_the_text_and_stay_out_of_it() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(stop_tokens=[{"tokens": [*b"two"]}], max_tokens=50)).json()["choices"]
        assert (choice["text"], choice["tokens"], choice["finish_reason"]) == ("one ", list(b"one "), "stop")
        assert server.engine.aborted == [(server.engine.submitted[0].id, 0)]

    play(scenario, FakeEngine(script=says("one two three")))


def test_nothing_stops_before_min_tokens() -> None:
    async def scenario(server: Server) -> None:
        for fields in ({"stop": ["a"]}, {"stop_tokens": [{"tokens": [97]}]}):
            (choice,) = (await server.post(**fields, min_tokens=3, max_tokens=50)).json()["choices"]
            assert (choice["text"], choice["finish_reason"]) == ("abab", "stop")
        (choice,) = (await server.post(eos_token=[97], min_tokens=3, max_tokens=50)).json()["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("bbbb", "stop")

    play(scenario, FakeEngine(script=says("ababab")))


def test_forced_tokens_are_the_output_and_end_with_stop() -> None:
    async def scenario(server: Server) -> None:
        for fields, text, reason in (
            ({"max_tokens": None}, "forced", "stop"),
            ({"max_tokens": 100}, "forced", "stop"),
            ({"max_tokens": 6}, "forced", "stop"),
            ({"max_tokens": 3}, "for", "length"),
        ):
            (choice,) = (await server.post(forced_output_tokens=[*b"forced"], **fields)).json()["choices"]
            assert (choice["text"], choice["finish_reason"]) == (text, reason)

    play(scenario)


def test_numbers_are_passed_on_as_they_are() -> None:
    async def scenario(server: Server) -> None:
        await server.post(temperature=0.1, top_p=1e-300)
        controls = server.engine.submitted[0].controls
        assert (controls.temperature, controls.top_p) == (0.1, 1e-300)

    play(scenario)
