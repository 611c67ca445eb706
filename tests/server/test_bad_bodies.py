"""Every wrong body is refused with a sentence and the field at fault, and disturbs nobody."""

from __future__ import annotations

import asyncio
import json

import pytest
from server_kit import Server, body, play, says

from friendli_endpoint.engine.fake import FAKE_CARD, FakeEngine

INTEGERS = ["max_tokens", "max_total_tokens", "min_tokens", "min_total_tokens", "n", "top_k", "seed", "no_repeat_ngram"]
INTEGERS += ["num_beams", "logprobs"]
NUMBERS = ["temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"]
FLAGS = ["stream", "early_stopping", "include_output_logits"]
TOKEN_LISTS = ["tokens", "eos_token"]
VOCAB = FAKE_CARD.vocab_size
CONTEXT = FAKE_CARD.longest_sequence


def _raw(field: str, literal: str) -> bytes:
    """A good body in which `field` is written as `literal`."""
    members = {name: json.dumps(value) for name, value in body().items() if name != field}
    if field == "tokens":
        members.pop("prompt", None)
    if field.endswith("total_tokens"):
        members.pop(field.replace("total_", ""), None)
    return ("{" + ",".join(f'"{name}":{text}' for name, text in (members | {field: literal}).items()) + "}").encode()


def _wrong_values() -> list[tuple[str, bytes, str]]:
    """(name, body, field) of bodies with one value of a wrong kind or out of every range."""
    wrong = [(field, text) for field in INTEGERS for text in ('"1"', "true", "1.5", "-1", "2e9", "1e300", "[[]]", "{}")]
    wrong += [(field, text) for field in INTEGERS if field != "seed" for text in (str(2**31), str(2**63), "[1]")]
    wrong += [("seed", str(2**64)), ("seed", "[]"), ("seed", "[true]"), ("seed", "[1,2]")]
    wrong += [(field, text) for field in NUMBERS for text in ('"1"', "true", "1e999", "-1e999", "[]", "-3")]
    wrong += [(field, text) for field in FLAGS for text in ('"true"', "1", "0", "[]")]
    for field in TOKEN_LISTS:
        wrong += [
            (field, text) for text in (f"[{VOCAB}]", "[-1]", f"[{2**31}]", f"[1,{10**30}]", "[true]", "[[]]", '"a"')
        ]
    wrong += [("tokens", "[]"), ("max_tokens", "0"), ("n", "0"), ("top_p", "0"), ("top_p", "1.01")]
    wrong += [
        ("prompt", text) for text in ("[]", "[[]]", '[""]', '""', "5", "true", "{}", "[1]", '["a",null]', '"\\ud800"')
    ]
    wrong += [("model", text) for text in ('""', "1", "[]", "null", '"\\ud800"')]
    wrong += [("stop", text) for text in ('"x"', '[""]', "[1]", json.dumps(["x"] * 65), json.dumps(["x" * 1001]))]
    wrong += [("stop", '["\\udfff"]'), ("eos_token", json.dumps(list(range(65)))), ("top_k", str(VOCAB + 1))]
    wrong += [("stream_options", text) for text in ("true", '{"include_usage":1}', '{"x":1}', '{"include_usage":true}')]
    wrong += [("max_tokens", str(CONTEXT)), ("max_total_tokens", str(CONTEXT + 1)), ("max_total_tokens", "2")]
    wrong += [("prompt", json.dumps("x" * CONTEXT)), ("tokens", json.dumps([1] * CONTEXT)), ("n", "129")]
    wrong += [("stop", json.dumps([f"{number}{'x' * 900}" for number in range(12)]))]
    return [(f"{field}={text[:24]}", _raw(field, text), field) for field, text in wrong]


NOT_OBJECTS = {
    "empty": (b"", 400),
    "truncated": (b'{"model":"demo"', 400),
    "trailing": (b'{"model":"demo","prompt":"x"} x', 400),
    "two": (b"{}{}", 400),
    "nan": (b'{"model":"demo","prompt":"x","temperature":NaN}', 400),
    "infinity": (b'{"model":"demo","prompt":"x","temperature":-Infinity}', 400),
    "utf-16": (json.dumps(body()).encode("utf-16"), 400),
    "utf-32": (json.dumps(body()).encode("utf-32-le"), 400),
    "not utf-8": (b'{"model":"demo","prompt":"\xff"}', 400),
    "surrogate bytes": (b'{"model":"demo","prompt":"\xed\xa0\x80"}', 400),
    "bom": (b"\xef\xbb\xbf" + json.dumps(body()).encode(), 400),
    "control character": (b'{"model":"demo","prompt":"a\x00b"}', 400),
    "single quotes": (b"{'model':'demo'}", 400),
    "comment": (b'{"model":"demo" /* x */}', 400),
    "leading zero": (b'{"model":"demo","prompt":"x","n":01}', 400),
    "string": (b'"x"', 422),
    "list": (b"[]", 422),
    "number": (b"1", 422),
    "null": (b"null", 422),
    "true": (b"true", 422),
    "duplicate": (b'{"model":"demo","model":"demo","prompt":"x"}', 422),
    "inner duplicate": (b'{"model":"demo","prompt":"x","stream_options":{"a":1,"a":1}}', 422),
    "5000 digits": (b'{"model":"demo","prompt":"x","n":' + b"9" * 5000 + b"}", 422),
    "depth of lists": (b"[" * 60_000, 422),
    "depth of objects": (b'{"a":' * 60_000 + b"1" + b"}" * 60_000, 422),
    "depth 33": (b'{"model":' + b"[" * 32 + b"]" * 32 + b"}", 422),
    "many lists": (b'{"model":' + b"[" + b"[]," * 10_000 + b"[]]}", 422),
    "many keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(1001)) + b"}", 422),
    "unknown field": (b'{"model":"demo","prompt":"x","max_token":1}', 422),
    "no model": (b'{"prompt":"x"}', 422),
    "no prompt": (b'{"model":"demo"}', 422),
    "both prompts": (b'{"model":"demo","prompt":"x","tokens":[1]}', 422),
    "both bounds": (b'{"model":"demo","prompt":"x","max_tokens":1,"max_total_tokens":9}', 422),
}


@pytest.mark.parametrize(("content", "status"), NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
def test_what_is_no_good_json_object_is_refused(content: bytes, status: int) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post_bytes(content)
        assert reply.status_code == status
        assert reply.json()["error"]["message"].rstrip("?").endswith((".", "prompt", "max_tokens"))

    play(scenario)


def test_every_wrong_value_is_a_422_that_names_its_field() -> None:
    async def scenario(server: Server) -> None:
        for name, content, field in _wrong_values():
            reply = await server.post_bytes(content)
            error = reply.json()["error"]
            assert reply.status_code == 422, (name, error)
            assert error["field"], (name, error)
            assert error["field"].split(".")[0] == field, (name, error)
            assert error["field"].split(".")[0] in error["message"], (name, error)
        assert not server.engine.submitted

    play(scenario)


def test_a_text_that_cannot_fit_is_refused_without_being_tokenized() -> None:
    async def scenario(server: Server) -> None:
        error = (await server.post(prompt="é" * 1_000_000)).json()["error"]
        assert error["field"] == "prompt"
        assert error["message"] == "The prompt has 2000000 bytes, more than 512 tokens can hold."

    play(scenario)


def test_a_running_request_keeps_its_output_beside_bad_ones() -> None:
    engine = FakeEngine(script=says("undisturbed"), step_seconds=0.001)

    async def scenario(server: Server) -> None:
        victims = [asyncio.create_task(server.post(max_tokens=11, stream=True)) for _ in range(4)]
        for _, content, _ in _wrong_values()[:100]:
            await server.post_bytes(content)
        for content, _ in NOT_OBJECTS.values():
            await server.post_bytes(content)
        for victim in victims:
            assert (await victim).text.count('"token":') == 11
        assert server.engine.ready

    play(scenario, engine)


def test_odd_but_good_values_are_taken() -> None:
    good = [
        _raw("temperature", "-0.0"),
        _raw("temperature", "1"),
        _raw("top_k", str(VOCAB)),
        _raw("seed", str(2**64 - 1)),
        _raw("tokens", f"[0,{VOCAB - 1}]"),
        _raw("prompt", json.dumps("\x00\x1b[31m\r\n\t")),
        _raw("prompt", '" "'),
        _raw("prompt", '"\\ud83d\\ude42"'),
        _raw("prompt", json.dumps("[" * 400)),
        _raw("stop", "[]"),
        _raw("stop", "null"),
        _raw("eos_token", "[]"),
        _raw("response_format", '{"type":"text"}'),
        _raw("stream_options", '{"include_usage":false}'),
        json.dumps(body()).encode() + b"\r\n\t ",
    ]

    async def scenario(server: Server) -> None:
        for content in good:
            assert (await server.post_bytes(content)).status_code == 200, content

    play(scenario)


def test_messages_give_the_numbers() -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(prompt="x" * 500, max_tokens=100)
        assert reply.json()["error"]["message"] == (
            "500 prompt tokens and max_tokens 100 make 600; together they have to fit 512."
        )
        reply = await server.post(prompt=None, tokens=[1, 300])
        assert reply.json()["error"]["field"] == "tokens.1"
        assert "300" in reply.json()["error"]["message"]
        assert "0 to 256" in reply.json()["error"]["message"]

    play(scenario)
