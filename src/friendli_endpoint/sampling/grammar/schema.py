"""A JSON Schema as a request writes it -> the schema that llguidance compiles, or a sentence that names what is wrong.

Every keyword is either honoured or refused; only annotations are ignored. Where the schema leaves something open that
would let a model ramble, the closed reading is taken, so that an output is always valid under the schema as written:
properties are those that are named, and the type is the one that a schema's keywords are about.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from friendli_endpoint.sampling.grammar.errors import GrammarError
from friendli_endpoint.sampling.grammar.formats import FORMATS, NATIVE_FORMATS
from friendli_endpoint.sampling.grammar.pattern import anywhere

if TYPE_CHECKING:
    from collections.abc import Callable

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

# One space after a comma and a colon and none elsewhere: natural, and no room to ramble in.
_STYLE: Final[dict[str, JSON]] = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

_DEEPEST: Final = 80
"""Levels of JSON; the library reads 128."""
_TOO_DEEP: Final = f"the schema is nested more than {_DEEPEST} levels deep"
_MOST_PROPERTIES: Final = 500
"""Of one object: each step looks at all that may come next."""
_LONGEST_PATH: Final = 100
_LONGEST: Final = 100_000
_LARGEST_NUMBER: Final = 2**53
_MOST_MULTIPLE: Final = 1000

_TYPES: Final = ("null", "boolean", "number", "integer", "string", "array", "object")
_ANNOTATIONS: Final = frozenset(
    ("title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema")
)
_FAMILIES: Final = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
}
_APPLICATORS: Final = frozenset(("enum", "const", "$ref", "anyOf", "oneOf", "allOf"))
_NEUTRAL: Final[dict[str, JSON]] = {"uniqueItems": False, "minProperties": 0}
_DEFINITIONS: Final = ("$defs", "definitions")


def to_schema(source: str) -> str:
    """The schema for the library, serialised, from a request's."""
    try:
        schema = _translated(source)
        schema.encode()
    except RecursionError as error:
        raise GrammarError(_TOO_DEEP) from error
    except UnicodeEncodeError as error:
        raise GrammarError("the schema has a lone surrogate, which is not Unicode") from error
    return schema


def _translated(source: str) -> str:
    try:
        schema: JSON = json.loads(source, parse_constant=_no_constant)
    except ValueError as error:
        raise GrammarError(f"the schema is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise GrammarError("a JSON Schema is an object")
    return json.dumps({"x-guidance": _STYLE, **_Translation(schema).root()}, ensure_ascii=False)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class _Translation:
    """One schema, translated keyword by keyword; `path` is the pointer to where that stands."""

    def __init__(self, schema: dict[str, JSON]) -> None:
        self._schema = schema
        self._targets = {"#", *(f"#/{key}/{_escaped(name)}" for key in _DEFINITIONS for name in _keys(schema.get(key)))}
        self._keywords: dict[str, Callable[[JSON, str], JSON]] = {
            "type": _types,
            "enum": _enum,
            "const": _constant,
            "$ref": self._reference,
            "properties": self._named,
            "required": _names,
            "additionalProperties": self._translate,
            "items": self._translate,
            "prefixItems": self._list,
            "anyOf": self._list,
            "oneOf": self._list,
            "allOf": self._one,
            "minLength": _length,
            "maxLength": _length,
            "minItems": _count,
            "maxItems": _count,
            "minimum": _number,
            "maximum": _number,
            "exclusiveMinimum": _number,
            "exclusiveMaximum": _number,
            "multipleOf": _multiple,
            "pattern": _pattern,
            "format": _format,
        }

    def root(self) -> dict[str, JSON]:
        rest = {key: value for key, value in self._schema.items() if key != "$id" and key not in _DEFINITIONS}
        root = self._keyed(rest, "#")
        return {
            **root,
            **{key: self._named(self._schema[key], f"#/{key}") for key in _DEFINITIONS if key in self._schema},
        }

    def _translate(self, schema: JSON, path: str) -> JSON:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            _refuse(path, "a schema is an object or a boolean")
        if path.count("/") > _DEEPEST:
            raise GrammarError(_TOO_DEEP)
        return self._keyed(schema, path)

    def _keyed(self, schema: dict[str, JSON], path: str) -> dict[str, JSON]:
        result: dict[str, JSON] = {}
        for key, value in schema.items():
            if key in _ANNOTATIONS or (key in _NEUTRAL and value == _NEUTRAL[key]):
                continue
            if key not in self._keywords:
                _refuse(path, f'"{key[:_LONGEST_PATH]}" is not supported')
            result[key] = self._keywords[key](value, f"{path}/{key}")
        if "properties" in result:
            result.setdefault("additionalProperties", False)
        if family := _only_family(result):
            result.setdefault("type", family)
        return _with_format(result)

    def _named(self, schemas: JSON, path: str) -> JSON:
        if not isinstance(schemas, dict):
            _refuse(path, "it must be an object of schemas")
        if len(schemas) > _MOST_PROPERTIES:
            _refuse(path, f"at most {_MOST_PROPERTIES} can be used")
        return {name: self._translate(schema, f"{path}/{_escaped(name)}") for name, schema in schemas.items()}

    def _list(self, schemas: JSON, path: str) -> JSON:
        if not isinstance(schemas, list) or not schemas:
            _refuse(path, "it must be a list of schemas")
        return [self._translate(schema, f"{path}/{index}") for index, schema in enumerate(schemas)]

    def _one(self, schemas: JSON, path: str) -> JSON:
        if not isinstance(schemas, list) or len(schemas) != 1:
            _refuse(path, "allOf is supported for one schema alone; write several as one")
        return self._list(schemas, path)

    def _reference(self, reference: JSON, path: str) -> JSON:
        if not isinstance(reference, str):
            _refuse(path, "a reference is a string")
        if reference not in self._targets:
            _refuse(
                path, f"references are # and {' and '.join(f'#/{key}/NAME' for key in _DEFINITIONS)} of this schema"
            )
        return reference


def _keys(schemas: JSON) -> list[str]:
    return list(schemas) if isinstance(schemas, dict) else []


def _with_format(schema: dict[str, JSON]) -> dict[str, JSON]:
    """Formats that are known here become patterns, beside the schema's own pattern if it has one."""
    if (known := FORMATS.get(str(schema.get("format")))) is None:
        return schema
    rest = {key: value for key, value in schema.items() if key != "format"}
    pattern = f"^(?:{known})$"
    if "pattern" not in schema:
        return {**rest, "pattern": pattern}
    others = schema.get("allOf")
    return {**rest, "allOf": [*(others if isinstance(others, list) else []), {"pattern": pattern}]}


def _only_family(schema: dict[str, JSON]) -> str | None:
    """The type that all keywords of a schema are about, None where they are about several or about none."""
    families = [family for family, keywords in _FAMILIES.items() if not keywords.isdisjoint(schema)]
    return families[0] if len(families) == 1 and _APPLICATORS.isdisjoint(schema) else None


def _types(types: JSON, path: str) -> JSON:
    for name in types if isinstance(types, list) and types else [types]:
        if name not in _TYPES:
            _refuse(path, f"types are {', '.join(_TYPES)}")
    return types


def _enum(values: JSON, path: str) -> JSON:
    if not isinstance(values, list) or not values:
        _refuse(path, "it must be a list of values")
    return [_constant(value, f"{path}/{index}") for index, value in enumerate(values)]


def _constant(value: JSON, path: str) -> JSON:
    if isinstance(value, dict):
        return {key: _constant(member, f"{path}/{_escaped(key)}") for key, member in value.items()}
    if isinstance(value, list):
        return [_constant(member, f"{path}/{index}") for index, member in enumerate(value)]
    return _number(value, path) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _names(names: JSON, path: str) -> JSON:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        _refuse(path, "it must be a list of names")
    return names


def _number(value: JSON, path: str) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(path, "it must be a number")
    if abs(value) > _LARGEST_NUMBER or "e" in repr(value):
        _refuse(path, "numbers in a schema are at most 2**53 and need no exponent")
    return value


def _multiple(value: JSON, path: str) -> JSON:
    if isinstance(value, bool) or value not in range(1, _MOST_MULTIPLE + 1):
        _refuse(path, f"it must be a whole number from 1 to {_MOST_MULTIPLE}")
    return value


def _count(value: JSON, path: str) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(path, "it must be a whole number, not negative")
    return value


def _length(value: JSON, path: str) -> JSON:
    if isinstance(value, int) and value > _LONGEST:
        _refuse(path, f"lengths are at most {_LONGEST}")
    return _count(value, path)


def _pattern(pattern: JSON, path: str) -> JSON:
    if not isinstance(pattern, str):
        _refuse(path, "it must be a regular expression")
    try:
        return f"^{anywhere(pattern)}$"
    except GrammarError as error:
        _refuse(path, str(error))


def _format(name: JSON, path: str) -> JSON:
    if name not in NATIVE_FORMATS and name not in FORMATS:
        _refuse(path, f"formats are {', '.join(sorted(NATIVE_FORMATS.union(FORMATS)))}")
    return name


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _refuse(path: str, why: str) -> NoReturn:
    raise GrammarError(f"the schema cannot be used at {path[:_LONGEST_PATH]}: {why}")
