"""The library's messages -> sentences for who wrote the grammar, without its internals."""

from __future__ import annotations

import re
from typing import Final

TOO_COMPLEX: Final = "the grammar is too complex: make it smaller, or its repetitions shorter"
NOTHING_MATCHES: Final = "nothing can match the grammar"

# What the library says when one of its limits is reached.
_LIMIT: Final = re.compile(
    r"too (?:many|large|big|complex)|fuel|limit|max is|Unable to determine if regex is empty", re.IGNORECASE
)
_PLACE: Final = re.compile(r"^at \d+\(\d+\): |^failed to compile JSON schema: |^Unsatisfiable schema: ")
_LONGEST: Final = 200


def of_compilation(message: str) -> str:
    """Why a grammar could not be compiled."""
    if _LIMIT.search(message):
        return TOO_COMPLEX
    if "NoExtension" in message:
        return NOTHING_MATCHES
    if "oneOf" in message:
        return "oneOf is only supported where its alternatives differ in their types or constants: use anyOf"
    if "Regex is empty" in message:
        return "no string of the schema has at once the pattern, the format and the length that it must have"
    reason = message.partition("\n")[0].strip()
    while (shorter := _PLACE.sub("", reason)) != reason:
        reason = shorter
    return f"the grammar cannot be compiled: {reason[:_LONGEST]}"


def of_output(message: str) -> str:
    """Why an output cannot go on in its grammar."""
    if _LIMIT.search(message):
        return "the grammar became too complex while the output was generated: make its repetitions shorter"
    return "the output cannot be continued so that it matches the grammar"
