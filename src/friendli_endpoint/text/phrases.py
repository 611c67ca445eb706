"""Finding the first of many phrases in text that comes in pieces: the Aho-Corasick automaton."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

_CODE_BITS = 21  # of a Unicode code point
LONGEST = 10_000  # characters of all phrases together: building an automaton of this size takes some 20 ms


class Match(NamedTuple):
    """A phrase of `length` characters that ends before `end` in the text just scanned; it may begin before it."""

    end: int
    length: int


class Automaton:
    """A state is the longest beginning of a phrase that the text so far ends with; 0 is the empty one.

    Immutable: whoever scans keeps the state. One dictionary holds all edges, which keeps long phrases small.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._edges: dict[int, int] = {}
        self._depth = [0]
        self._ends = [0]  # length of the longest phrase that ends in the state
        self._fallback = [0]  # the state of the longest proper suffix
        for phrase in phrases:
            self._add(phrase)
        self._link()
        self._firsts = frozenset(chr(edge) for edge in self._edges if edge >> _CODE_BITS == 0)

    def depth(self, state: int) -> int:
        """How many characters at the end of the text may begin a phrase."""
        return self._depth[state]

    def scan(self, state: int, text: str) -> tuple[int, Match | None]:
        """The state after `text`, or after the first phrase that completes in it (the longest, if several do)."""
        if not state and self._firsts.isdisjoint(text):
            return 0, None
        edges, fallback, ends = self._edges, self._fallback, self._ends
        for at, char in enumerate(text):
            code = ord(char)
            while (following := edges.get(state << _CODE_BITS | code)) is None and state:
                state = fallback[state]
            state = following or 0
            if ends[state]:
                return state, Match(at + 1, ends[state])
        return state, None

    def _add(self, phrase: str) -> None:
        state = 0
        for char in phrase:
            edge = state << _CODE_BITS | ord(char)
            if edge not in self._edges:
                self._edges[edge] = len(self._depth)
                self._depth.append(self._depth[state] + 1)
                self._ends.append(0)
                self._fallback.append(0)
            state = self._edges[edge]
        self._ends[state] = len(phrase)

    def _link(self) -> None:
        """Set every fallback, shallow states first: each builds on those above it."""
        # Sorting by the depth of the edge's origin is the breadth-first order.
        for edge, state in sorted(self._edges.items(), key=lambda item: self._depth[item[1]]):
            origin, code = edge >> _CODE_BITS, edge & ((1 << _CODE_BITS) - 1)
            if origin:
                self._fallback[state] = self._after(self._fallback[origin], code)
            self._ends[state] = self._ends[state] or self._ends[self._fallback[state]]

    def _after(self, state: int, code: int) -> int:
        while (following := self._edges.get(state << _CODE_BITS | code)) is None and state:
            state = self._fallback[state]
        return following or 0


@lru_cache(maxsize=16)
def automaton(phrases: tuple[str, ...]) -> Automaton:
    """Shared, because the choices of a request look for the same phrases.

    Raises RequestError for an empty phrase, which every text contains, and for phrases that are too long.
    """
    if not all(phrases):
        raise RequestError("a stop phrase is empty; it needs at least one character", field="stop")
    if (length := sum(map(len, phrases))) > LONGEST:
        raise RequestError(f"stop has {length:,} characters in all; at most {LONGEST:,} are allowed", field="stop")
    return Automaton(phrases)
