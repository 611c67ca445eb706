"""No n-gram twice: which tokens would complete one that a sequence already has, as in Hugging Face `generate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BASE: Final = 1_000_003
_MODULUS: Final = (1 << 61) - 1


class Ngrams:
    """Where in a sequence that grows each run of n - 1 tokens has ended, found by a rolling hash.

    A token costs the same to add whatever n and the length are. The first tokens, the prompt, are indexed apart, so
    that a copy shares them.
    """

    def __init__(self, size: int) -> None:
        """`size` is n, at least 2."""
        self._run = size - 1
        self._highest = pow(_BASE, self._run - 1, _MODULUS)
        self._tokens: list[int] = []
        self._hash = 0
        self._shared: dict[int, tuple[int, ...]] = {}
        self._own: dict[int, tuple[int, ...]] = {}

    def add(self, tokens: Sequence[int]) -> None:
        """The next tokens of the sequence."""
        index = self._own if self._tokens else self._shared
        for token in tokens:
            end = len(self._tokens)
            if end >= self._run:
                index[self._hash] = (*index.get(self._hash, ()), end)
                self._hash -= self._tokens[end - self._run] * self._highest
            self._tokens.append(token)
            self._hash = (self._hash * _BASE + token) % _MODULUS

    def banned(self) -> list[int]:
        """The tokens that would complete an n-gram for the second time."""
        end = len(self._tokens)
        last = self._tokens[max(end - self._run, 0) :]
        ends = (*self._shared.get(self._hash, ()), *self._own.get(self._hash, ()))
        return [self._tokens[e] for e in ends if self._tokens[e - self._run : e] == last]

    def copy(self) -> Ngrams:
        """The same, to grow on its own."""
        copy = Ngrams(self._run + 1)
        copy._tokens, copy._hash = self._tokens.copy(), self._hash
        copy._shared, copy._own = self._shared if self._tokens else {}, self._own.copy()
        return copy
