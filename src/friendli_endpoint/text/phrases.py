"""Finding the first of many sequences in what comes in pieces: the Aho-Corasick automaton.

A sequence is one of numbers: the code points of a phrase, or token ids.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CODE_BITS = 32  # of a code point or a token id
LONGEST = 10_000  # characters of all phrases together: building an automaton of this size takes some 20 ms


class Match(NamedTuple):
    """A sequence of `length` codes that ends before `end` in what was just scanned; it may begin before it."""

    end: int
    length: int


class Automaton:
    """A state is the longest beginning of a sequence that everything so far ends with; 0 is the empty one.

    Immutable: whoever scans keeps the state. One dictionary holds all edges, which keeps long sequences small.
    """

    def __init__(self, sequences: Iterable[Sequence[int]]) -> None:
        self._edges: dict[int, int] = {}
        self._depth = [0]
        self._ends = [0]  # length of the longest sequence that ends in the state
        self._fallback = [0]  # the state of the longest proper suffix
        for sequence in sequences:
            self._add(sequence)
        self._link()

    @property
    def firsts(self) -> frozenset[int]:
        """The codes that begin a sequence: without one of them, state 0 stays as it is."""
        return frozenset(edge for edge in self._edges if edge >> _CODE_BITS == 0)

    def depth(self, state: int) -> int:
        """How many codes at the end may begin a sequence."""
        return self._depth[state]

    def scan(self, state: int, codes: Iterable[int]) -> tuple[int, Match | None]:
        """The state after `codes`, or after the first sequence that completes in them (the longest, if several do)."""
        for at, code in enumerate(codes):
            state = self._after(state, code)
            if self._ends[state]:
                return state, Match(at + 1, self._ends[state])
        return state, None

    def _add(self, sequence: Sequence[int]) -> None:
        state = 0
        for code in sequence:
            edge = state << _CODE_BITS | code
            if edge not in self._edges:
                self._edges[edge] = len(self._depth)
                self._depth.append(self._depth[state] + 1)
                self._ends.append(0)
                self._fallback.append(0)
            state = self._edges[edge]
        self._ends[state] = len(sequence)

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


class Phrases:
    """The automaton of phrases of text; most text has no character that begins one, and is passed over at once."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._automaton = Automaton([tuple(map(ord, phrase)) for phrase in phrases])
        self._firsts = frozenset(map(chr, self._automaton.firsts))
        self.depth = self._automaton.depth

    def scan(self, state: int, text: str) -> tuple[int, Match | None]:
        """See `Automaton.scan`."""
        if not state and self._firsts.isdisjoint(text):
            return 0, None
        return self._automaton.scan(state, map(ord, text))


@lru_cache(maxsize=16)
def phrases_of(stop: tuple[str, ...]) -> Phrases:
    """Shared, because the choices of a request look for the same phrases.

    Raises RequestError for an empty phrase, which every text contains, and for phrases that are too long.
    """
    if not all(stop):
        raise RequestError("a stop phrase is empty; it needs at least one character", field="stop")
    if (length := sum(map(len, stop))) > LONGEST:
        raise RequestError(f"stop has {length:,} characters in all; at most {LONGEST:,} are allowed", field="stop")
    return Phrases(stop)


@lru_cache(maxsize=16)
def sequences_of(stop_tokens: tuple[tuple[int, ...], ...]) -> Automaton:
    """The same for token ids. Raises RequestError for an empty sequence."""
    if not all(stop_tokens):
        raise RequestError("a sequence of stop_tokens is empty; it needs at least one token", field="stop_tokens")
    return Automaton(stop_tokens)
