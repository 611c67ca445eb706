"""The tokens of all beams of a search: a tree in which each beam is a leaf that knows its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from friendli_endpoint.engine.vocabulary import FinishReason, Scores

Output: TypeAlias = "list[tuple[int, Scores | None]]"
"""Tokens with what is reported of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One generated token and the way to it; `score` and `perturbed` are those of the whole way.

    What no live beam descends from goes away with its last child.
    """

    parent: Node | None
    token: int
    scores: Scores | None
    score: float
    perturbed: float


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A complete beam. Its last `cut` tokens ended it and are not part of its output.

    `penalised` is its score over its length, counted with the tokens cut, to the power of the length penalty.
    """

    node: Node
    cut: int
    reason: FinishReason
    penalised: float

    @property
    def score(self) -> float:
        """The log-probability of all its tokens, those that were cut included."""
        return self.node.score

    @property
    def perturbed(self) -> float:
        """Its score plus Gumbel noise; in a stochastic search the highest are a sample without replacement."""
        return self.node.perturbed

    def output(self) -> Output:
        """Its tokens in order, without those cut."""
        output: Output = []
        node: Node | None = self.node
        while node is not None:
            output.append((node.token, node.scores))
            node = node.parent
        output.reverse()
        return output[: len(output) - self.cut]
