"""Penalties on tokens that have come before: repetition as in Hugging Face, frequency and presence as in vLLM."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


_EXTREME: Final = 1e30


class Counts:
    """The different tokens of a sequence that grows, and how often each has come."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._tokens = np.zeros(64, np.int64)
        self._counts = np.zeros(64, np.int64)

    def add(self, tokens: Sequence[int]) -> None:
        """Count more of them."""
        counted = Counter(tokens) if len(tokens) > 1 else dict.fromkeys(tokens, 1)
        for token, times in counted.items():
            place = self._places.setdefault(token, len(self._places))
            if place == len(self._tokens):
                self._tokens, self._counts = _doubled(self._tokens), _doubled(self._counts)
            self._tokens[place] = token
            self._counts[place] += times

    @property
    def tokens(self) -> NDArray[np.int64]:
        """The different tokens, in the order of their first coming."""
        return self._tokens[: len(self._places)]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each of `tokens` has come."""
        return self._counts[: len(self._places)]

    def copy(self) -> Counts:
        """The same, to grow on its own."""
        copy = Counts()
        copy._places = self._places.copy()
        copy._tokens, copy._counts = self._tokens.copy(), self._counts.copy()
        return copy


def bounded(penalty: float) -> float:
    """A repetition penalty that leaves every finite logit finite in float32; one beyond has the same effect."""
    return min(max(penalty, 1 / _EXTREME), _EXTREME)


def repetition(logits: NDArray[np.float32], penalties: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of tokens that have come before, each divided by its sequence's penalty, or below 0 multiplied."""
    return np.where(logits < 0, logits * penalties, logits / penalties)


def occurrence(
    logits: NDArray[np.float32],
    counts: NDArray[np.int64],
    frequency: NDArray[np.float32],
    presence: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Logits of tokens that the output has so many times, less what that costs each of them."""
    return logits - frequency * counts.astype(np.float32) - presence


def _doubled(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([values, np.zeros_like(values)])
