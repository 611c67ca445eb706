"""Logits and draws in, tokens out: one call a step for every row that wants a token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from friendli_endpoint.sampling.draw import NO_TOKEN, Draw, Pick
from friendli_endpoint.sampling.pick import pick, pick_from_row
from friendli_endpoint.sampling.random import uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.head import Heads

_LARGEST_SCALE: Final = 1e30


class FindsHeads(Protocol):
    """`sampling.head.HeadFinder`, or numpy in tests."""

    def find(self, logits: Logits, scales: NDArray[np.float32]) -> Heads:
        """Heads of the rows [S, vocab], log-sums of the scaled rows."""


class Sampler:
    """Turns rows of logits into tokens."""

    def __init__(self, heads: FindsHeads) -> None:
        self._heads = heads

    def sample(self, logits: Logits, draws: Sequence[Draw]) -> list[Pick]:
        """One token per draw, `NO_TOKEN` where the row is not finite; several draws may share a row."""
        tokens = [NO_TOKEN] * len(draws)
        greedy = [i for i, draw in enumerate(draws) if draw.request.controls.greedy]
        random = [i for i, draw in enumerate(draws) if not draw.request.controls.greedy]
        for indices, choose in ((greedy, self._argmax), (random, self._random)):
            if indices:
                for i, token in zip(indices, choose(logits, [draws[i] for i in indices]), strict=True):
                    tokens[i] = token
        return [Pick(token) for token in tokens]

    def _argmax(self, logits: Logits, draws: Sequence[Draw]) -> list[int]:
        rows = [draw.row for draw in draws]
        best = _rows(logits, rows).argmax(axis=1)
        finite = np.isfinite(logits[rows, best])
        return [int(token) if fine else NO_TOKEN for token, fine in zip(best, finite, strict=True)]

    def _random(self, logits: Logits, draws: Sequence[Draw]) -> list[int]:
        rows = _rows(logits, [draw.row for draw in draws])
        scales = _scales(draws)
        heads = self._heads.find(rows, scales)
        with np.errstate(invalid="ignore"):  # a row that is not finite is told below
            probabilities = np.exp(heads.logits * scales[:, None] - heads.log_sums[:, None])
        numbers = uniforms(
            np.array([draw.seed for draw in draws], np.uint64), np.array([draw.position for draw in draws], np.uint64)
        )
        tokens = []
        for i, draw in enumerate(draws):
            uniform, log_sum = float(numbers[i]), float(heads.log_sums[i])
            if not math.isfinite(log_sum):
                tokens.append(NO_TOKEN)
                continue
            whole = probabilities.shape[1] == rows.shape[1]
            rank = pick(probabilities[i], draw.request.controls, uniform, whole=whole)
            if rank is not None and not whole and heads.logits[i, rank] == heads.logits[i, -1]:
                rank = None  # one of equal logits of which the head's end may have cut off some
            if rank is None:
                tokens.append(pick_from_row(rows[i], float(scales[i]), log_sum, draw.request.controls, uniform))
            else:
                tokens.append(int(heads.tokens[i, rank]))
        return tokens


def _scales(draws: Sequence[Draw]) -> NDArray[np.float32]:
    """1 / temperature, bounded so that the smallest temperature is not infinity in float32."""
    return np.array([min(1 / draw.request.controls.temperature, _LARGEST_SCALE) for draw in draws], np.float32)


def _rows(logits: Logits, rows: list[int]) -> Logits:
    """The rows wanted; the whole array itself when that is what they are, because a copy costs as much as an argmax."""
    return logits if rows == list(range(len(logits))) else logits[rows]
