"""Patterns and schemas that explode, contradict themselves, or are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bench.endurance.hostile_kit import fields, format_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.endurance.hostile_kit import Input

_PATTERNS: Final = (
    *("(a+)+b", "(a|a)*b", "(a*)*", "((a+)+)+$", "([a-z]+)*[0-9]", "(.*.*)*x", "(a?){50}a{50}", "(x+x+)+y"),
    *("a{1,99999}", "(a{1,999}){1,999}", "a{99999}", "(((a{1,30}){1,30}){1,30}){1,30}", "a{2,1}", "a{999999999999}"),
    *(
        "(",
        ")",
        "[",
        "]",
        "[z-a]",
        "*",
        "+",
        "?",
        "a**",
        "\\",
        "\\x",
        "\\u{110000}",
        "\\p{Nope}",
        "(?<",
        "(?<n>a)\\k<n>",
    ),
    *(
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(a)\\1",
        "\\bword\\b",
        "^^a$$",
        "(?i)a",
        "(?P<n>a)",
        "\\Ka",
        "(?>a+)",
        "a++",
        "$^",
    ),
    *("", " ", "\0", "\n", "\x1b", "\u2028", "\U0001f642+", "[^\0-\U0010ffff]", "[^\\s\\S]", ".", ".*", "\\d{1,500}"),
    *("(" * 60_000 + "a" + ")" * 60_000, "(" * 60_000, "[" * 60_000, "a|" * 60_000, "|".join(map(str, range(30_000)))),
    *(
        "(" * 200 + "a" + ")" * 200,
        "(a|b)" * 5_000,
        "(.|\n){0,5000}",
        "(a{0,99}b{0,99}){0,99}",
        "x" * 10**6,
        "a?" * 5_000,
    ),
    *("[" + "".join(map(chr, range(0x4E00, 0x9FFF))) + "]{1,50}", "(\\w+\\s?)+\\.", "(([a-z])+.)+[A-Z]([a-z])+$"),
)
_STRING: Final = {"type": "string"}
_SCHEMAS: Final[tuple[Mapping[str, object], ...]] = (
    {"$ref": "#"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    {"$ref": "#/$defs/nothing"},
    {"$ref": "https://example.com/schema.json"},
    {"$ref": "file:///etc/passwd"},
    {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    {"type": "array", "items": {"$ref": "#"}, "minItems": 2},
    {"type": "nothing"},
    {"type": 5},
    {"type": []},
    {"enum": []},
    {"enum": [10**300]},
    {"enum": list(range(20_000))},
    {"enum": ["x" * 1000 + str(number) for number in range(1000)]},
    {"const": {"a": [1] * 5000}},
    {"anyOf": [{"const": number} for number in range(5000)]},
    {"oneOf": [_STRING, _STRING]},
    {"allOf": [{"anyOf": [_STRING] * 50}] * 50},
    {"not": {}},
    {"if": {}, "then": {}},
    {"properties": {f"p{number}": _STRING for number in range(900)}},
    {
        "properties": {f"p{number}": _STRING for number in range(300)},
        "required": [f"p{number}" for number in range(300)],
    },
    {"properties": {"a": {}}, "required": ["b"]},
    {"patternProperties": {"(a+)+b": {}}},
    {"pattern": "(a+)+b", "type": "string"},
    {"pattern": "(", "type": "string"},
    {"pattern": "(.*a){30}", "minLength": 20, "maxLength": 5000, "type": "string"},
    {"type": "string", "minLength": 99_999},
    {"type": "string", "maxLength": -1},
    {"type": "string", "minLength": 5, "maxLength": 4},
    {"type": "string", "format": "nothing"},
    {"type": "string", "format": "date-time", "pattern": "x"},
    {"type": "integer", "minimum": 2**70},
    {"type": "integer", "minimum": 3, "maximum": 2},
    {"type": "number", "multipleOf": 1e-300},
    {"type": "integer", "multipleOf": 0},
    {"type": "integer", "minimum": -(2**53), "maximum": 2**53, "multipleOf": 997},
    {"type": "array", "minItems": 10**9},
    {"type": "array", "minItems": 2000, "items": _STRING},
    {"type": "array", "prefixItems": [_STRING] * 900},
    {"type": "array", "uniqueItems": True},
    {
        "type": "array",
        "items": {"type": "array", "items": {"type": "array", "maxItems": 99}, "maxItems": 99},
        "maxItems": 99,
    },
    {"additionalProperties": {"additionalProperties": {"additionalProperties": True}}},
    {"minProperties": 3},
    {"x-guidance": {"lenient": True}},
    {"title": "x" * 10**5},
    {"description": "\0\x1b[31m"},
    {"properties": {"\0": _STRING, "\u202e": _STRING, "a\nb": _STRING}},
    {"$schema": "http://json-schema.org/draft-03/schema#", "extends": {}},
    {"$id": "x", "$anchor": "y", "$dynamicRef": "#y"},
    {"properties": []},
    {"items": [{}]},
    {"required": "a"},
)
_FORMATS: Final[tuple[object, ...]] = (
    *("text", "nothing", 5, None, [], {}, {"type": "regex"}, {"type": "regex", "schema": 5}, {"type": "json_schema"}),
    *({"type": "json_schema", "json_schema": 5}, {"type": "json_schema", "json_schema": {"schema": "x"}}),
    *(
        {"type": "json_object", "schema": "{"},
        {"type": "json_object", "schema": "[]"},
        {"type": "json_object", "schema": {}},
    ),
    *({"type": "json_object", "schema": "[" * 9000}, {"type": "json_object", "schema": '{"a":1,"a":2}'}),
    *({"type": "text", "schema": "x"}, {"type": "text", "more": 1}, {"type": "REGEX", "schema": "a"}),
    *({"type": "json_object", "schema": '{"enum":[NaN]}'}, {"type": "json_object", "schema": "9" * 5000}),
)


def grammars() -> Iterator[Input]:
    """Each of them once as what is asked for."""
    for number, pattern in enumerate(_PATTERNS):
        yield format_of(f"pattern {number} {pattern[:20]}", {"type": "regex", "schema": pattern})
    for number, schema in enumerate(_SCHEMAS):
        yield format_of(
            f"schema {number} {str(schema)[:30]}", {"type": "json_schema", "json_schema": {"schema": schema}}
        )
        yield format_of(f"schema {number} as text", {"type": "json_object", "schema": json.dumps(schema)})
    for wanted in _FORMATS:
        yield fields(f"format {str(wanted)[:30]}", response_format=json.dumps(wanted))


def many_grammars(count: int) -> Iterator[Input]:
    """So many that differ, each good."""
    for number in range(count):
        yield format_of(f"a schema of its own {number}", _own_schema(number))


def _own_schema(number: int) -> object:
    name = f"field_{number}"
    properties = {name: {"enum": [number, f"{number}"]}, "note": {"type": "string", "maxLength": number % 97 + 1}}
    schema = {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"schema": schema}}
