"""A JSON Schema as a request writes it -> the schema that llguidance compiles, or a sentence that names what is wrong.

Every keyword is either honoured or refused; only annotations are ignored. Where the schema leaves something open that
would let a model ramble, the closed reading is taken, so that an output is always valid under the schema as written:
properties are those that are named, and the type is the one that a schema's keywords are about.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, NoReturn

from friendli_endpoint.sampling.grammar import keywords
from friendli_endpoint.sampling.grammar.errors import GrammarError
from friendli_endpoint.sampling.grammar.formats import FORMATS
from friendli_endpoint.sampling.grammar.keywords import escaped, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.sampling.grammar.keywords import JSON

# One space after a comma and a colon and none elsewhere: natural, and no room to ramble in.
_STYLE: Final[dict[str, JSON]] = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

_DEEPEST: Final = 80
"""Levels of JSON; the library reads 128."""
_TOO_DEEP: Final = f"the schema is nested more than {_DEEPEST} levels deep"
_MOST_PROPERTIES: Final = 500
"""Of one object: each step looks at all that may come next."""

_ANNOTATIONS: Final = frozenset(
    ("title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema")
)
_FAMILIES: Final = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
}
_EXCLUSIVE_BOUNDS: Final = (
    ("exclusiveMinimum", "minimum", ("maximum", "exclusiveMaximum"), math.inf, max),
    ("exclusiveMaximum", "maximum", ("minimum", "exclusiveMinimum"), -math.inf, min),
)
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LEAST_STEP: Final = 1e-9
_REFERRING: Final = frozenset(("$ref", "anyOf", "oneOf", "allOf"))
_APPLICATORS: Final = _REFERRING | {"enum", "const"}
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
        self._targets = {"#", *(f"#/{key}/{escaped(name)}" for key in _DEFINITIONS for name in _keys(schema.get(key)))}
        self._keywords: dict[str, Callable[[JSON, str], JSON]] = {
            "type": keywords.types,
            "enum": keywords.enum,
            "const": keywords.constant,
            "$ref": self._reference,
            "properties": self._named,
            "required": keywords.names,
            "additionalProperties": self._translate,
            "items": self._translate,
            "prefixItems": self._list,
            "anyOf": self._list,
            "oneOf": self._list,
            "allOf": self._one,
            "minLength": keywords.length,
            "maxLength": keywords.length,
            "minItems": keywords.count,
            "maxItems": keywords.count,
            "minimum": keywords.number,
            "maximum": keywords.number,
            "exclusiveMinimum": keywords.number,
            "exclusiveMaximum": keywords.number,
            "multipleOf": keywords.multiple,
            "pattern": keywords.pattern,
            "format": keywords.known_format,
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
            refuse(path, "a schema is an object or a boolean")
        if path.count("/") > _DEEPEST:
            raise GrammarError(_TOO_DEEP)
        return self._keyed(schema, path)

    def _keyed(self, schema: dict[str, JSON], path: str) -> dict[str, JSON]:
        result: dict[str, JSON] = {}
        for key, value in schema.items():
            if key in _ANNOTATIONS or (key in _NEUTRAL and value == _NEUTRAL[key]):
                continue
            if key not in self._keywords:
                refuse(path, f'"{key[:50]}" is not supported')
            result[key] = self._keywords[key](value, f"{path}/{key}")
        if not _REFERRING.isdisjoint(result) and not _FAMILIES["number"].isdisjoint(result):
            refuse(path, f"bounds of numbers go into the schemas of {', '.join(sorted(_REFERRING))}, not beside them")
        if "properties" in result:
            result.setdefault("additionalProperties", False)
        if family := _only_family(result):
            result.setdefault("type", family)
        return _with_format(_with_inclusive_bounds(result))

    def _named(self, schemas: JSON, path: str) -> JSON:
        if not isinstance(schemas, dict):
            refuse(path, "it must be an object of schemas")
        if len(schemas) > _MOST_PROPERTIES:
            refuse(path, f"at most {_MOST_PROPERTIES} can be used")
        return {name: self._translate(schema, f"{path}/{escaped(name)}") for name, schema in schemas.items()}

    def _list(self, schemas: JSON, path: str) -> JSON:
        if not isinstance(schemas, list) or not schemas:
            refuse(path, "it must be a list of schemas")
        return [self._translate(schema, f"{path}/{index}") for index, schema in enumerate(schemas)]

    def _one(self, schemas: JSON, path: str) -> JSON:
        if not isinstance(schemas, list) or len(schemas) != 1:
            refuse(path, "allOf is supported for one schema alone; write several as one")
        return self._list(schemas, path)

    def _reference(self, reference: JSON, path: str) -> JSON:
        if not isinstance(reference, str):
            refuse(path, "a reference is a string")
        if reference not in self._targets:
            refuse(path, f"references are # and {' and '.join(f'#/{key}/NAME' for key in _DEFINITIONS)} of this schema")
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


def _with_inclusive_bounds(schema: dict[str, JSON]) -> dict[str, JSON]:
    """Exclusive bounds that are whole numbers close to their opposites, as the nearest inclusive ones.

    The library lets such a bound itself pass where its opposite has the same whole part.
    """
    bounds = {key: value for key in _BOUNDS if isinstance(value := schema.get(key), int | float)}
    result = dict(schema)
    for key, inclusive, opposites, towards, tighter in _EXCLUSIVE_BOUNDS:
        bound, others = bounds.get(key), [bounds[other] for other in opposites if other in bounds]
        if bound is None or bound != int(bound) or all(abs(other - bound) > 1 for other in others):
            continue
        step = max(_LEAST_STEP, abs(math.nextafter(bound, towards) - bound))
        inside = bound + math.copysign(step, towards)
        result[inclusive] = tighter(inside, bounds.get(inclusive, inside))
        del result[key]
    return result


def _only_family(schema: dict[str, JSON]) -> str | None:
    """The type that all keywords of a schema are about, None where they are about several or about none."""
    families = [family for family, about in _FAMILIES.items() if not about.isdisjoint(schema)]
    return families[0] if len(families) == 1 and _APPLICATORS.isdisjoint(schema) else None
