"""A request inside the engine: its choices, from one prefill to the last token of the last choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from friendli_endpoint.engine.sequence import Sequence

if TYPE_CHECKING:
    from friendli_endpoint.engine.blocks import BlockKey
    from friendli_endpoint.engine.vocabulary import Request


@dataclass(slots=True, eq=False)
class Job:
    """`leader` computes the prompt for all choices; `fork` makes the others once it is computed."""

    request: Request
    leader: Sequence
    live: dict[int, Sequence]
    """The sequences of the choices that have not ended; before the fork only the leader's."""
    dropped: set[int] = field(default_factory=set)
    """Choices that were aborted before they had a sequence."""
    cached_tokens: int | None = None
    """How much of the prompt came from the prefix cache when it was first computed."""
    forked: bool = False
    announced: bool = False

    @classmethod
    def of(cls, request: Request, arrival: int, keys: list[BlockKey]) -> Job:
        leader = Sequence(request, 0, _tokens(request, 0), arrival, keys)
        return cls(request, leader, {0: leader})

    def note_cached(self, tokens: int) -> None:
        if self.cached_tokens is None:
            self.cached_tokens = tokens

    def drop(self, choice: int | None) -> list[Sequence]:
        """The sequences to end now, so that a choice (None: every one) goes no further."""
        if choice is None:
            return list(self.live.values())
        if self.forked:
            return [self.live[choice]] if choice in self.live else []
        self.dropped.add(choice)
        # The leader computes the prompt for the others, so it stays until nobody is left to want it.
        return [self.leader] if self.dropped.issuperset(range(len(self.request.seeds))) else []

    def fork(self) -> list[Sequence]:
        """The sequences of the other choices; the caller gives them their share of the leader's blocks."""
        self.forked = True
        others = [choice for choice in range(1, len(self.request.seeds)) if choice not in self.dropped]
        leader = self.leader
        forks = [Sequence(self.request, c, _tokens(self.request, c), leader.arrival, leader.keys) for c in others]
        self.live.update((fork.choice, fork) for fork in forks)
        return forks


def _tokens(request: Request, choice: int) -> list[int]:
    generated = request.generated[choice] if request.generated else ()
    return [*request.prompt, *generated]
