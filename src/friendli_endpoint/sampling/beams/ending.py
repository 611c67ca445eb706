"""What completes a beam."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from friendli_endpoint.engine.vocabulary import FinishReason, Request
    from friendli_endpoint.sampling.beams.tree import Node


class Ending(NamedTuple):
    """Why a beam is complete, and how many tokens at its end are not part of the output."""

    reason: FinishReason
    cut: int


class Endings:
    """The tokens, sequences and length that complete the beams of one request.

    A stop sequence counts once `min_tokens` tokens stand before it. Of several that end together the longest counts.
    """

    def __init__(self, request: Request) -> None:
        self._eos_tokens = frozenset(request.eos_tokens)
        self._max_tokens = request.max_tokens
        self._min_tokens = request.controls.min_tokens
        self._stops: dict[int, list[tuple[int, ...]]] = {}
        for sequence in sorted(request.beams.stop_tokens if request.beams else (), key=len, reverse=True):
            if sequence:
                self._stops.setdefault(sequence[-1], []).append(sequence)

    def find(self, parent: Node | None, token: int, length: int) -> Ending | None:
        """The ending of the output of `length` tokens that the token makes of its parent's; None: it goes on."""
        if token in self._eos_tokens:
            return Ending("stop", 1)
        for sequence in self._stops.get(token, ()):
            if len(sequence) <= length - self._min_tokens and _ends_with(parent, sequence[:-1]):
                return Ending("stop", len(sequence))
        return Ending("length", 0) if length >= self._max_tokens else None


def _ends_with(node: Node | None, tokens: tuple[int, ...]) -> bool:
    """The way to a node ends with these tokens, all of them generated."""
    for token in reversed(tokens):
        if node is None or node.token != token:
            return False
        node = node.parent
    return True
