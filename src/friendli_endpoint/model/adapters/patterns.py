"""peft's patterns: values that hold for some modules only, by regular expressions on the ends of their names."""

from __future__ import annotations

import re
from math import comb
from typing import TYPE_CHECKING, Generic, TypeVar

from friendli_endpoint.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = TypeVar("Value", int, float)

# Expressions come with the adapter, and one of them could keep the matcher busy for years. What a match can cost
# at most: every choice (a repetition, a group) may end anywhere in the name.
LONGEST_NAME, MOST_LENGTH, MOST_ALTERNATIVES, MOST_STEPS = 40, 1000, 128, 10**9
CHOICE = re.compile(r"\(|(?<!\()[?*+{]")
REPEATED_GROUP = re.compile(r"\)[*+{]")


class Patterns(Generic[Value]):
    """`values` by expression, in the file's order, for at most `modules` different names."""

    def __init__(self, source: str, values: Mapping[str, Value], modules: int) -> None:
        if modules * sum(map(_steps, values)) > MOST_STEPS:
            raise AdapterError(f"{source} is too complicated; name the modules with fewer repetitions and groups")
        self._rules: list[tuple[re.Pattern[str], Value]] = [
            (_compiled(source, key), value) for key, value in values.items()
        ]

    def find(self, module: str, default: Value) -> Value:
        """The value of the first expression that matches all of the name, or its end behind a dot."""
        return next((value for rule, value in self._rules if rule.match(module)), default)


def _steps(key: str) -> int:
    if len(key) > MOST_LENGTH or key.count("|") > MOST_ALTERNATIVES or REPEATED_GROUP.search(key):
        return MOST_STEPS + 1
    choices = len(CHOICE.findall(key)) + 1
    return comb(LONGEST_NAME + choices, choices)


def _compiled(source: str, key: str) -> re.Pattern[str]:
    try:
        return re.compile(rf"(.*\.)?({key})$")
    except (re.error, OverflowError, RecursionError) as error:
        raise AdapterError(f"{source}: {key[:60]!r} is no regular expression: {error}") from error
