"""A grammar that cannot be used is refused with a sentence; one that becomes too much fails its own output alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from grammar_kit import END, SMALL, SMALL_SIZE, allowed, error_of, generate, regex, schema, small_grammars

from friendli_endpoint.engine.vocabulary import Grammar
from friendli_endpoint.sampling.grammar import GrammarError, ban, masks_of

GRAMMARS = small_grammars()


def nested(levels):
    inner = {"type": "string"}
    for _ in range(levels):
        inner = {"properties": {"a": inner}}
    return inner


BAD_SCHEMAS = [
    ({"not": {}}, '#: "not" is not supported'),
    ({"properties": {"a": {"uniqueItems": True}}}, '#/properties/a: "uniqueItems" is not supported'),
    ({"properties": {"a/b": {"if": {}}}}, '#/properties/a~1b: "if" is not supported'),
    ({"minProperties": 2}, '"minProperties" is not supported'),
    ({"x-guidance": {"lenient": True}}, '"x-guidance" is not supported'),
    ({"type": "strin"}, "#/type: types are null, boolean"),
    ({"type": []}, "#/type"),
    ({"type": {}}, "#/type"),
    ({"enum": []}, "#/enum: it must be a list of values"),
    ({"const": 2**60}, "at most 2**53"),
    ({"enum": [[1e300]]}, "#/enum/0/0: numbers in a schema"),
    ({"minimum": "1"}, "#/minimum: it must be a number"),
    ({"minimum": True}, "#/minimum: it must be a number"),
    ({"minLength": -1}, "#/minLength: it must be a whole number"),
    ({"maxLength": 10**9}, "#/maxLength: lengths are at most 100000"),
    ({"minItems": 1.5}, "#/minItems: it must be a whole number"),
    ({"multipleOf": 0.1}, "#/multipleOf: it must be a whole number from 1 to 1000"),
    ({"pattern": 5}, "#/pattern: it must be a regular expression"),
    ({"pattern": "(?=a)"}, "#/pattern: the pattern cannot be used from its character 2 on: look-around"),
    ({"pattern": "(^a)"}, "only supported at the ends"),
    ({"format": "color"}, "#/format: formats are date, date-time"),
    ({"format": ["date"]}, "#/format: formats are date, date-time"),
    ({"properties": {"a": {"format": {}}}}, "#/properties/a/format: formats are date, date-time"),
    ({"properties": []}, "#/properties: it must be an object of schemas"),
    ({"properties": {"a": 1}}, "#/properties/a: a schema is an object or a boolean"),
    ({"properties": {str(i): {} for i in range(501)}}, "#/properties: at most 500 can be used"),
    ({"required": "a"}, "#/required: it must be a list of names"),
    ({"properties": {"a": {}}, "required": ["b"]}, "required property 'b'"),
    ({"items": [{}]}, "#/items: a schema is an object or a boolean"),
    ({"anyOf": []}, "#/anyOf: it must be a list of schemas"),
    ({"anyOf": [{"type": "integer"}], "minimum": 1}, "bounds of numbers go into"),
    ({"allOf": [{}, {}]}, "#/allOf: allOf is supported for one schema alone"),
    ({"oneOf": [{"type": "string"}, {"minLength": 2}]}, "oneOf is only supported where"),
    ({"$ref": "https://example.com/schema"}, "#/$ref: references are #"),
    ({"$ref": "#/$defs/a", "$defs": {"b": {}}}, "#/$ref: references are #"),
    ({"$ref": 1}, "#/$ref: a reference is a string"),
    ({"$ref": "#"}, "nothing can match"),
    ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum (5) is greater than maximum (3)"),
    ({"type": "string", "const": 5}, "cannot be compiled"),
    ({"pattern": "^a{9}$", "maxLength": 5}, "no string of the schema has at once"),
    ({"type": "string", "pattern": "(.*a){30}", "minLength": 20, "maxLength": 5000}, "too complex"),
    (nested(60), "nested more than 80 levels deep"),
    ({"const": "\ud800"}, "lone surrogate"),
]


KEYWORDS = sorted({key for written, _ in BAD_SCHEMAS for key in written} | {"items", "prefixItems", "$defs", "maximum"})
VALUES = [None, True, -1, 0.5, 10**400, "", "a", "#", "(", [], [[]], [{}], ["a"], {}, {"a": {}}, {"a": []}, {"a": "b"}]


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_any_value_of_a_keyword_is_used_or_refused(keyword):
    """What is neither would be our own failure."""
    for value in VALUES:
        for written in ({keyword: value}, {"type": "object", "properties": {"a": {keyword: value}}}):
            error = GRAMMARS.compile(schema(written), (END,)).exception(timeout=60)
            assert error is None or isinstance(error, GrammarError), (written, error)


@pytest.mark.parametrize(("written", "reason"), BAD_SCHEMAS, ids=lambda value: str(value)[:40])
def test_a_schema_that_cannot_be_used_is_refused_by_what_is_wrong_and_where(written, reason):
    message = error_of(GRAMMARS, schema(written))
    assert reason in message
    assert "\n" not in message
    assert len(message) < 400


BAD_SOURCES = [
    ("[1]", "a JSON Schema is an object"),
    ("{", "is not JSON"),
    ('{"const": NaN}', "NaN is no number"),
    ("[" * 50_000, "nested more than"),
    ('{"const":' + "[" * 900 + "]" * 900 + "}", ""),
    (json.dumps({"enum": ["x" * 140_000]}), "140014 bytes, and at most 131072"),
    ("\ud800", "lone surrogate"),
]


@pytest.mark.parametrize(("source", "reason"), BAD_SOURCES, ids=range(len(BAD_SOURCES)))
def test_a_source_that_is_no_schema_is_refused(source, reason):
    assert reason in error_of(GRAMMARS, Grammar("json_schema", source))


BAD_PATTERNS = [
    *[(p, 1, "anchors are not supported") for p in ("^a", r"\Aa", r"\ba", r"\z")],
    ("ab$", 3, "anchors are not supported"),
    *[(f"a{p}", 3, "look-around") for p in ("(?=b)", "(?!b)", "(?<=a)", "(?<!a)")],
    *[(f"a{p}", 2, "Unicode classes") for p in (r"\p{L}", r"\P{L}", r"\N{DIGIT ONE}")],
    *[(p, at, "back-references") for p, at in ((r"(a)\1", 4), ("(?P<x>a)(?P=x)", 10))],
    ("(?i)a", 2, "flags are not supported"),
    ("(?>a)", 2, "atomic groups"),
    ("(a)(?(1)b)", 5, "conditionals"),
    ("a++", 3, "possessive"),
    ("a**", 2, "repeats a repetition"),
    ("*a", 1, "nothing to repeat"),
    ("a|+", 3, "nothing to repeat"),
    ("(a", 1, "never closed"),
    ("a)", 2, "closes nothing"),
    ("[a", 1, "never closed"),
    ("[z-a]", 2, "from a smaller to a greater character"),
    (r"[\d-z]", 2, "from a smaller to a greater character"),
    ("[[:alpha:]]", 2, "named classes"),
    ("a{", 2, "a literal brace"),
    ("a{,}", 2, "a literal brace"),
    ("a{3,2}", 2, "from a smaller to a greater number"),
    ("a{9999999}", 2, "at most 100000"),
    (r"\q", 1, "escape is not known"),
    ("a\\", 2, "escape is not known"),
    (r"\x4", 1, "2 hexadecimal digits"),
    (r"\ud800", 1, "not a character"),
    (r"\01", 1, "octal"),
    ("(" * 60 + ")" * 60, 52, "nested more than 50 deep"),
]


@pytest.mark.parametrize(("pattern", "position", "reason"), BAD_PATTERNS)
def test_a_pattern_that_cannot_be_used_is_refused_by_what_is_wrong_and_where(pattern, position, reason):
    message = error_of(GRAMMARS, regex(pattern))
    assert f"from its character {position} on" in message
    assert reason in message


@pytest.mark.parametrize("pattern", ["", "(?:)", "a{0}"])
def test_a_pattern_for_no_text_at_all_is_refused(pattern):
    assert "nothing but the empty text" in error_of(GRAMMARS, regex(pattern))


def test_a_pattern_that_nothing_matches_is_refused():
    assert "nothing can match" in error_of(GRAMMARS, regex(r"[^\s\S]"))


HOSTILE = [
    regex("(a{1,1000}){1,1000}"),
    regex("((a{1,1000}){1,1000}){1,1000}"),
    regex("(.*a){50}"),
    regex("(.*a.{20}b){10}"),
    regex(".*a.{18}b.*c.{18}d"),
    regex("|".join(f"w{i * 7919 % 100003}x*" for i in range(5000))),
    regex("abc" * 40_000),
    schema({"enum": [f"value {i * 7919 % 100003}" for i in range(7000)]}),
    schema({"items": {"type": "string"}, "maxItems": 10**9}),
    schema(
        {
            "$ref": "#/$defs/30",
            "$defs": {"0": {}, **{str(i): {"anyOf": [{"$ref": f"#/$defs/{i - 1}"}] * 2} for i in range(1, 31)}},
        }
    ),
    schema(
        {
            "$ref": "#/$defs/30",
            "$defs": {
                "0": {},
                **{str(i): {"items": {"$ref": f"#/$defs/{i - 1}"}, "minItems": 9} for i in range(1, 31)},
            },
        }
    ),
    schema({"items": {"anyOf": [{"type": "string"}, {"maxLength": 9}, {"$ref": "#"}, {"items": {"$ref": "#"}}]}}),
    schema({"anyOf": [{"properties": {f"p{i}": {"maxLength": i + k} for i in range(400)}} for k in range(8)]}),
    schema({"type": "string", "maxLength": 100_000, "minLength": 99_999}),
]


@pytest.mark.parametrize("grammar", HOSTILE, ids=lambda grammar: grammar.source[:30])
def test_a_hostile_grammar_ends_in_an_output_or_in_an_error_of_its_own(grammar):
    """A thousand steps of whatever is allowed: no crash, and an error bans everything."""
    future = GRAMMARS.compile(grammar, (END,))
    if (refusal := future.exception(timeout=60)) is not None:
        assert isinstance(refusal, GrammarError)
        assert "too complex" in str(refusal)
        return
    matcher = future.result()
    random = np.random.default_rng(3)
    for _ in range(1000):
        logits = random.normal(0, 1, (1, SMALL_SIZE)).astype(np.float32)
        ban(logits, [0], [matcher], masks_of([matcher]))
        if matcher.error or matcher.finished or (token := int(logits[0].argmax())) == END:
            break
        matcher.push(token)
    if matcher.error:
        assert "too complex" in matcher.error
        assert allowed(matcher) == set()


def test_a_grammar_that_became_too_complex_starts_afresh_for_the_next_output():
    """Matchers of one compilation share what ended it; those of the next one do not."""
    grammars, grammar, a = small_grammars(), regex("((a{1,1000}){1,1000}){1,1000}"), SMALL.tokens.index(b"a")
    matchers = [grammars.compile(grammar, (END,)).result(timeout=60) for _ in range(2)]
    while not matchers[0].error:
        allowed(matchers[0])
        matchers[0].push(a)
    assert allowed(matchers[1]) == set()
    assert "too complex" in matchers[1].error
    assert a in allowed(grammars.compile(grammar, (END,)).result(timeout=60))


def test_a_token_that_the_grammar_does_not_allow_leaves_an_error_and_bans_everything():
    matcher = GRAMMARS.compile(regex("abc"), (END,)).result(timeout=60)
    matcher.push(SMALL.tokens.index(b"b"))
    assert "cannot be continued" in matcher.error
    assert (matcher.finished, allowed(matcher)) == (False, set())
    fresh = GRAMMARS.compile(regex("abc"), (END,)).result(timeout=60)
    assert generate(fresh, 0) == "abc"
