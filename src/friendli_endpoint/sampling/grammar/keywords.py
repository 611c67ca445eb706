"""The values that the keywords of a JSON Schema may have, where those are no schemas themselves.

Each function checks one at a path and returns what the library is given instead; GrammarError says what it must be.
"""

from __future__ import annotations

from typing import Final, NoReturn, TypeAlias

from friendli_endpoint.sampling.grammar.errors import GrammarError
from friendli_endpoint.sampling.grammar.formats import FORMATS, NATIVE_FORMATS
from friendli_endpoint.sampling.grammar.pattern import anywhere

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

_TYPES: Final = ("null", "boolean", "number", "integer", "string", "array", "object")
_LONGEST_PATH: Final = 100
_LONGEST: Final = 100_000
_LARGEST_NUMBER: Final = 2**53
_MOST_MULTIPLE: Final = 1000


def types(value: JSON, path: str) -> JSON:
    for name in value if isinstance(value, list) and value else [value]:
        if name not in _TYPES:
            refuse(path, f"types are {', '.join(_TYPES)}")
    return value


def enum(values: JSON, path: str) -> JSON:
    if not isinstance(values, list) or not values:
        refuse(path, "it must be a list of values")
    return [constant(value, f"{path}/{index}") for index, value in enumerate(values)]


def constant(value: JSON, path: str) -> JSON:
    if isinstance(value, dict):
        return {key: constant(member, f"{path}/{escaped(key)}") for key, member in value.items()}
    if isinstance(value, list):
        return [constant(member, f"{path}/{index}") for index, member in enumerate(value)]
    return number(value, path) if isinstance(value, int | float) and not isinstance(value, bool) else value


def names(value: JSON, path: str) -> JSON:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        refuse(path, "it must be a list of names")
    return value


def number(value: JSON, path: str) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(path, "it must be a number")
    if abs(value) > _LARGEST_NUMBER or "e" in repr(value):
        refuse(path, "numbers in a schema are at most 2**53 and need no exponent")
    return value


def multiple(value: JSON, path: str) -> JSON:
    if isinstance(value, bool) or value not in range(1, _MOST_MULTIPLE + 1):
        refuse(path, f"it must be a whole number from 1 to {_MOST_MULTIPLE}")
    return value


def count(value: JSON, path: str) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        refuse(path, "it must be a whole number, not negative")
    return value


def length(value: JSON, path: str) -> JSON:
    if isinstance(value, int) and value > _LONGEST:
        refuse(path, f"lengths are at most {_LONGEST}")
    return count(value, path)


def pattern(value: JSON, path: str) -> JSON:
    if not isinstance(value, str):
        refuse(path, "it must be a regular expression")
    try:
        return f"^{anywhere(value)}$"
    except GrammarError as error:
        refuse(path, str(error))


def known_format(name: JSON, path: str) -> JSON:
    if not isinstance(name, str) or (name not in NATIVE_FORMATS and name not in FORMATS):
        refuse(path, f"formats are {', '.join(sorted(NATIVE_FORMATS.union(FORMATS)))}")
    return name


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def refuse(path: str, why: str) -> NoReturn:
    raise GrammarError(f"the schema cannot be used at {path[:_LONGEST_PATH]}: {why}")
