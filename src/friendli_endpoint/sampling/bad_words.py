"""Words, sequences of tokens, that never appear: the last token of one is banned behind the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class BadWords:
    """The words of one request; it keeps no state, so that copies of a sequence share it."""

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        """Words of one token or more."""
        self._always = [word[0] for word in words if len(word) == 1]
        self._ends: dict[int, dict[tuple[int, ...], list[int]]] = {}
        for word in words:
            if len(word) > 1:
                ends = self._ends.setdefault(len(word) - 1, {})
                ends.setdefault(tuple(word[:-1]), []).append(word[-1])

    @property
    def reach(self) -> int:
        """How many tokens back the words look."""
        return max(self._ends, default=0)

    def banned(self, tail: Sequence[int]) -> list[int]:
        """The tokens that would complete a word behind the sequence's last `reach` tokens."""
        found = self._always.copy()
        for length, ends in self._ends.items():
            if length <= len(tail):
                found += ends.get(tuple(tail[-length:]), ())
        return found
