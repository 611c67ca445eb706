"""No n-gram twice: which tokens would complete one that a sequence already has, as in Hugging Face `generate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BASE: Final = 1_000_003
_MODULUS: Final = (1 << 61) - 1
_NONE: Final = -1


class Ngrams:
    """Where in a sequence that grows each run of n - 1 tokens has ended, found by a rolling hash.

    A token costs the same to add whatever n, the length and the repetitions are: runs of one hash are chained, the
    latest first. The first tokens, the prompt, are indexed apart, so that a copy shares them.
    """

    def __init__(self, size: int) -> None:
        """`size` is n, at least 2."""
        self._run = size - 1
        self._highest = pow(_BASE, self._run - 1, _MODULUS)
        self._tokens: list[int] = []
        self._hash = 0
        self._shared: dict[int, int] = {}
        self._own: dict[int, int] = {}
        self._earlier: list[int] = []  # by the end of a run: the end before it of the same hash, or `_NONE`

    def add(self, tokens: Sequence[int]) -> None:
        """The next tokens of the sequence."""
        index = self._own if self._tokens else self._shared
        for token in tokens:
            end = len(self._tokens)
            if end < self._run:
                self._earlier.append(_NONE)
            else:
                self._earlier.append(self._latest())
                index[self._hash] = end
                self._hash -= self._tokens[end - self._run] * self._highest
            self._tokens.append(token)
            self._hash = (self._hash * _BASE + token) % _MODULUS

    def banned(self) -> list[int]:
        """The tokens that would complete an n-gram for the second time, each once."""
        tokens, found = self._tokens, dict[int, None]()
        last, end = tokens[max(len(tokens) - self._run, 0) :], self._latest()
        while end != _NONE:
            # The runs are compared once for each token: that may take as long as the runs are.
            if tokens[end] not in found and tokens[end - self._run : end] == last:
                found[tokens[end]] = None
            end = self._earlier[end]
        return list(found)

    def copy(self) -> Ngrams:
        """The same, to grow on its own."""
        copy = Ngrams(self._run + 1)
        copy._tokens, copy._hash, copy._earlier = self._tokens.copy(), self._hash, self._earlier.copy()
        copy._shared, copy._own = self._shared if self._tokens else {}, self._own.copy()
        return copy

    def _latest(self) -> int:
        """Where the run that the sequence ends with has ended before, or `_NONE`."""
        return self._own.get(self._hash, self._shared.get(self._hash, _NONE))
