"""JSON as RFC 8259 has it and no more: each mistake that lenient parsers let through is a sentence here."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from friendli_endpoint.errors import RequestError

# No reasonable body comes near these; without them, one of 4 MiB keeps the interpreter busy for seconds.
_MOST_CONTAINERS = 10_000
_MOST_MEMBERS = 1_000

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_INNERMOST = re.compile(rb"\[\]|\{\}")


def parse_object(body: bytes, *, max_depth: int) -> dict[str, object]:
    """The top-level object in `body`.

    Raises `RequestError`: 400 when it is not JSON, 422 when it is JSON with a duplicate key, a number that no field
    can hold, nesting deeper than `max_depth`, too many lists, objects or keys, or when it is no object.
    """
    _check_nesting(body, max_depth)
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
        )
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not UTF-8: byte {error.start} is out of place.", status=400) from None
    except json.JSONDecodeError as error:
        raise RequestError(f"The body is not JSON: {error.msg} at character {error.pos}.", status=400) from None
    if not isinstance(value, dict):
        raise RequestError("The body should be a JSON object, {...}.")
    return value


def _check_nesting(body: bytes, limit: int) -> None:
    """Peel off the innermost pairs `limit` times; what is left is nested deeper, or is not JSON at all."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    if len(brackets) > 2 * _MOST_CONTAINERS:
        raise RequestError(f"The body has more than {_MOST_CONTAINERS} lists and objects.")
    for _ in range(limit):
        brackets = _INNERMOST.sub(b"", brackets)
    if brackets:
        raise RequestError(f"The body is nested deeper than {limit} levels, or its brackets do not match.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > _MOST_MEMBERS:
        raise RequestError(f"The body has an object with more than {_MOST_MEMBERS} keys.")
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        field = twice.encode(errors="replace").decode()[:100]
        raise RequestError(f"The key {field!r} is given twice.", field=field)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"The body is not JSON: {name} is not a JSON number.", status=400)


def _bounded_int(digits: str) -> int:
    # No field holds more than 64 bits, and Python's int() grows with the square of the digits.
    if len(digits) > 40:
        raise RequestError(f"The body has an integer of {len(digits)} digits; no field takes one so large.")
    return int(digits)
