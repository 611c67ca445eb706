"""200 JSON Schemas over everything that is supported, and 50 regular expressions."""

from __future__ import annotations

import json
import random
from itertools import islice

STRINGS = [
    {"type": "string"},
    {"type": "string", "minLength": 3},
    {"type": "string", "maxLength": 2},
    {"type": "string", "minLength": 2, "maxLength": 5},
    {"type": "string", "minLength": 4, "maxLength": 4},
    {"type": "string", "maxLength": 0},
    *(
        {"type": "string", "pattern": pattern}
        for pattern in (
            r"^[a-z]{2,4}$",
            r"\d",
            r"^x",
            r"y$",
            r"^(a|b)*c?$",
            r"^[^\s\"\\]{1,6}$",
            r"^a|b$",
            r"^é+$",
            r"^\w+@\w+\.(com|org)$",
            r"^\\\"/$",
        )
    ),
    {"type": "string", "pattern": "^[a-z]+$", "minLength": 3, "maxLength": 6},
    *({"type": "string", "format": name} for name in ("date", "time", "date-time", "uuid", "ipv4", "email")),
    {"type": "string", "format": "date", "pattern": "^19"},
    {"type": "string", "format": "date", "pattern": "02-29$"},
]
NUMBERS = [
    {"type": "integer"},
    {"type": "integer", "minimum": 0},
    {"type": "integer", "maximum": -5},
    {"type": "integer", "minimum": 18, "maximum": 21},
    {"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9},
    {"type": "integer", "minimum": -1000, "exclusiveMaximum": 1000},
    {"type": "integer", "minimum": 995, "maximum": 10203},
    {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    {"type": "integer", "minimum": 1.5, "maximum": 3.5},
    {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 500},
    {"type": "number"},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": -1.25, "exclusiveMaximum": 3.75},
    {"type": "number", "minimum": 99.5},
    {"type": "number", "exclusiveMaximum": -0.125},
    {"type": "number", "exclusiveMinimum": 47, "maximum": 47.3},
]
VALUES = [
    {"type": "null"},
    {"type": "boolean"},
    {"const": 'a "quoted" \\ é 😀 \n'},
    {"const": 42},
    {"const": -1.5},
    {"const": None},
    {"const": True},
    {"const": {"a": [1, "b", None], "é": {}}},
    {"enum": ["red", "green", "blue"]},
    {"enum": [1, 2.5, "three", None, False, ["x"], {"y": 0}]},
    {"type": "string", "enum": ["in", 1, "inside"]},
    {"enum": ["", "a", "aa", "aab"]},
    {"type": ["string", "null"]},
    {"type": ["integer", "boolean"], "minimum": 5},
    {"title": "t", "description": "d", "$comment": "c", "default": 1, "examples": [2], "type": "boolean"},
]
ARRAYS = [
    {"type": "array"},
    {"type": "array", "items": {"type": "integer"}},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1},
    {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "maxItems": 3},
    {"type": "array", "maxItems": 0},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "maxItems": 4},
    {"items": {"type": "null"}, "maxItems": 2},
]
OBJECTS = [
    {"type": "object"},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"a": {"type": "integer"}}},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b"]},
    {"properties": {"a": {}, "b": {"type": "null"}, "c": True}, "required": ["a", "c"]},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "boolean"}},
    {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": True, "required": ["a"]},
    {
        "type": "object",
        "properties": {'q"uo\\te': {"type": "null"}, "é ü": {"const": 1}},
        "required": ['q"uo\\te', "é ü"],
    },
    {"type": "object", "properties": {"a": {"type": "null"}, "b": False}},
]
COMBINED = [
    {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 100}]},
    {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"k": {"type": "boolean"}}, "required": ["k"]}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
    {"oneOf": [{"properties": {"t": {"const": t}, t: {"type": "null"}}, "required": ["t", t]} for t in ("x", "y")]},
    {"allOf": [{"type": "string", "minLength": 2}], "maxLength": 3},
    {"properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"$ref": "#/$defs/c", "$defs": {"c": {"enum": ["x", "y"]}}},
    {"properties": {"l": {"$ref": "#/definitions/p"}}, "definitions": {"p": {"type": "integer"}}, "required": ["l"]},
    {"properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}, "required": ["next"]},
    {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                "required": ["v", "kids"],
            }
        },
    },
    {"properties": {"a": {"$ref": "#/$defs/x~1y"}}, "$defs": {"x/y": {"const": 1}}, "required": ["a"]},
    {},
]
LEAVES = [*STRINGS, *NUMBERS, *VALUES]


def composed(source: random.Random, depth: int) -> dict:
    """A schema put together from the others."""
    kind = source.choice(["object", "object", "array", "anyOf", "leaf"]) if depth else "leaf"
    if kind == "object":
        names = source.sample(["id", "name", "tags", "größe", "a b", "x"], source.randint(1, 4))
        properties = {name: composed(source, depth - 1) for name in names}
        return {
            "type": "object",
            "properties": properties,
            "required": source.sample(names, source.randint(0, len(names))),
        }
    if kind == "array":
        least = source.randint(0, 2)
        return {
            "type": "array",
            "items": composed(source, depth - 1),
            "minItems": least,
            "maxItems": least + source.randint(0, 2),
        }
    if kind == "anyOf":
        return {"anyOf": [composed(source, depth - 1) for _ in range(source.randint(1, 3))]}
    return source.choice(LEAVES)


def _schemas(count: int) -> list[dict]:
    source, seen = random.Random(7), set()  # noqa: S311 - a fixed seed is the point

    def all_of_them():
        yield from (*LEAVES, *ARRAYS, *OBJECTS, *COMBINED)
        while True:
            yield composed(source, 3)

    def first_time(schema):
        text = json.dumps(schema)
        return text not in seen and not seen.add(text)

    return list(islice(filter(first_time, all_of_them()), count))


SCHEMAS = _schemas(200)

REGEXES = [
    *("a", "abc|abd", "(ab)+", "a?b?c?", "a{3}", "a{2,4}b", "(?:a|bc){,3}d", "x{2,}", "(a|b)*abb", "((a)(b(c)))"),
    *(r"\d+", r"\d{4}-\d\d-\d\d", r"\D{2}", r"\w+\s\w+", r"\W", r"\S{3}", r"\s", r"[\d\s]{2}", r"[^\d\s]{2}", r"[\D]"),
    *("[abc]", "[^abc]", "[a-f0-9]+", "[a\\-z]", "[]x]+", "[^]x]", "[-a]+", "[a-]+", r"[\]\[]+", "[.+*?|()]+"),
    *(".", ".{3}", "a.c", r"a\.c", r"\(\[\{\}\]\)", r"\$\^", r"\/\\\"", r"\n\t", r"\x41\u00e9", r"[\x61-\x63]+"),
    *(
        "é+",
        "[à-ÿ]{2}",
        "日本|😀",
        "[^a]é",
        "(yes|no|maybe)",
        "(?P<key>k+)=(?P<value>v*)",
        "a*?b+?",
        "(a|)b",
        "(a*|b)(c|d)?",
        "(|a)c",
    ),
]
