"""Whatever the model wants, a finished output matches its grammar."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time
from uuid import UUID

import jsonschema
import pytest
from grammar_kit import END, SMALL, SMALL_SIZE, accepts, allowed, generate, regex, schema, small_grammars
from grammar_samples import REGEXES, SCHEMAS

from friendli_endpoint.sampling.grammar import Grammars, Vocabulary

GRAMMARS = small_grammars()
FORMATS = jsonschema.FormatChecker()
_PARSERS = {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat, "uuid": UUID}
for name, parse in _PARSERS.items():
    FORMATS.checks(name, ValueError)(lambda value, parse=parse: not isinstance(value, str) or parse(value) is not None)


def start(grammar):
    return GRAMMARS.compile(grammar, (END,)).result(timeout=60)


def validate(text, written):
    jsonschema.Draft202012Validator(written, format_checker=FORMATS).validate(json.loads(text))


@pytest.mark.parametrize("written", SCHEMAS, ids=range(len(SCHEMAS)))
def test_a_finished_output_validates_against_its_schema(written):
    outputs = [generate(start(schema(written)), seed) for seed in range(3)]
    finished = [text for text in outputs if text is not None]
    assert finished
    for text in finished:
        validate(text, written)


@pytest.mark.parametrize("pattern", REGEXES)
def test_a_finished_output_matches_its_whole_regular_expression(pattern):
    outputs = [generate(start(regex(pattern)), seed) for seed in range(5)]
    finished = [text for text in outputs if text is not None]
    assert finished
    for text in finished:
        assert re.fullmatch(pattern, text, re.ASCII)


def test_there_are_200_schemas_and_50_regular_expressions():
    assert (len({json.dumps(s) for s in SCHEMAS}), len(set(REGEXES))) == (200, 50)


WORDS = ["red", "green", "é", "én", "日本", "ab", "aab", "a"]


@pytest.mark.parametrize("quote", ["", '"'], ids=["regex", "schema"])
def test_a_mask_has_exactly_the_tokens_that_keep_the_output_a_beginning(quote):
    texts = [f"{quote}{word}{quote}".encode() for word in WORDS]
    todo = [(start(schema({"enum": WORDS}) if quote else regex("|".join(WORDS))), b"")]
    looked_at = 0
    while todo:
        matcher, output = todo.pop()
        right = {i for i, t in enumerate(SMALL.tokens) if t and any(x.startswith(output + t) for x in texts)} - {1, 2}
        assert allowed(matcher) == (right | {END} if output in texts else right)
        assert matcher.finished == (output in texts and not right)
        for token in right:
            following = matcher.copy()
            following.push(token)
            todo.append((following, output + SMALL.tokens[token]))
        looked_at += 1
    assert looked_at > 20


WRONG = [
    ({"type": "object"}, ["[]", "1", '"a"', "{} ", ' {"a": 1}', '{"a":1}', '{"a": 1,"b": 2}', "{1: 2}", '{"a": 01}']),
    ({"properties": {"a": {"type": "integer"}}}, ['{"b": 1}', '{"a": 1, "b": 2}', '{"a": 1.5}', '{"a": 1, "a": 2}']),
    ({"properties": {"a": {}, "b": {}}, "required": ["a"]}, ["{}", '{"b": 1}', '{"b": 1, "a": 1}']),
    ({"type": "string", "maxLength": 2}, ['"abc"', '"😀😀😀"', '"a', "a", '"\n"', '"\\x"', '"\\ud800"']),
    ({"type": "string", "minLength": 2}, ['"a"', '"😀"', '"\\n"']),
    ({"type": "integer", "minimum": 18, "exclusiveMaximum": 21}, ["17", "21", "180", "-19", "19.0", "019", "2e1"]),
    ({"type": "number", "exclusiveMinimum": 47, "maximum": 47.3}, ["47", "47.0", "46.9", "47.4", "48"]),
    ({"type": "number", "minimum": -0.5, "exclusiveMaximum": 0}, ["0", "-0", "-0.0", "0.1", "-0.6"]),
    ({"enum": [47, 48], "exclusiveMinimum": 47}, ["47"]),
    ({"type": "string", "format": "date"}, ['"2023-02-29"', '"1900-02-29"', '"2024-13-01"', '"0000-01-01"']),
    ({"type": "string", "format": "date-time"}, ['"2024-02-29"', '"2024-02-29T24:00:00Z"', '"2024-02-29T10:00:00"']),
    ({"type": "string", "format": "uuid"}, ['"00000000-0000-0000-0000-00000000000"']),
    ({"type": "string", "pattern": "^\\d$"}, ['"12"', '"a"', '"٣"', '"5\\n"']),
    (
        {"type": "array", "items": {"const": 1}, "minItems": 1, "maxItems": 2},
        ["[]", "[1, 1, 1]", "[1,1]", "[2]", "[1, ]"],
    ),
]


@pytest.mark.parametrize(("written", "text"), [(written, text) for written, texts in WRONG for text in texts])
def test_an_output_that_breaks_the_schema_cannot_be_produced(written, text):
    assert not accepts(start(schema(written)), text)


RIGHT = [
    ({"type": "object"}, ["{}", '{"a": [1, {"b": null}], "c": {}}']),
    ({"properties": {"a": {}, "b": {}}, "required": ["a"]}, ['{"a": []}', '{"a": 1.5e3, "b": "x"}']),
    ({"type": "string", "maxLength": 2}, ['""', '"😀😀"', '"\\n\\u0001"']),
    ({"type": "string", "format": "date"}, ['"2024-02-29"', '"2000-02-29"', '"0001-12-31"']),
    ({"type": "string", "format": "date-time"}, ['"2024-02-29T23:59:59.123Z"', '"1999-01-01T00:00:00+01:30"']),
    ({"type": "integer", "minimum": 18, "exclusiveMaximum": 21}, ["18", "20"]),
]


@pytest.mark.parametrize(("written", "text"), [(written, text) for written, texts in RIGHT for text in texts])
def test_an_output_that_keeps_the_schema_can_be_produced(written, text):
    assert accepts(start(schema(written)), text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("a", "aa"), ("a|b", "ab"), (r"\d", "٣"), (r"\w", "é"), (r"\s", "\u2003"), (".", "\n"), ("a+", "")],
)
def test_a_regular_expression_matches_nothing_more_than_it_says(pattern, text):
    assert not accepts(start(regex(pattern)), text)


def test_the_end_is_allowed_exactly_where_the_output_matches_and_other_ends_never():
    a, b = SMALL.tokens.index(b"a"), SMALL.tokens.index(b"b")
    matcher = GRAMMARS.compile(regex("ab?"), (END, a + 1, SMALL_SIZE + 9)).result(timeout=60)
    assert END not in allowed(matcher)
    matcher.push(a)
    assert allowed(matcher) == {END, b}  # b is a + 1: an end here, and no text
    matcher.push(b)
    assert not matcher.finished


def test_a_request_without_ends_is_finished_when_nothing_can_follow():
    a = SMALL.tokens.index(b"a")
    matcher = GRAMMARS.compile(regex("aa?"), ()).result(timeout=60)
    matcher.push(a)
    assert (matcher.finished, allowed(matcher)) == (False, {i for i, t in enumerate(SMALL.tokens) if t == b"a"})
    matcher.push(a)
    assert (matcher.finished, matcher.error, allowed(matcher)) == (True, None, set())


@pytest.mark.real
def test_outputs_of_the_real_vocabulary_validate(default_model):
    from friendli_endpoint.text import load_tokenizer

    tokenizer = load_tokenizer(default_model)
    vocabulary = Vocabulary(
        tuple(map(tokenizer.token_bytes, range(tokenizer.vocab_size))),
        frozenset(token for token, special in tokenizer.added.items() if special),
        tokenizer.eos_tokens,
    )
    grammars = Grammars(lambda: vocabulary, tokenizer.vocab_size)
    for written in SCHEMAS[::20]:
        matcher = grammars.compile(schema(written), tokenizer.eos_tokens).result(timeout=60)
        text = generate(matcher, 1, vocabulary, tokenizer.vocab_size, tokenizer.eos_tokens)
        if text is not None:
            validate(text, written)
