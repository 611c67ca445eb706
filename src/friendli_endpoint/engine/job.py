"""A request inside the engine: its choices or beams, from one prefill to the last token of the last of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from friendli_endpoint.engine.sequence import Phase, Sequence
from friendli_endpoint.sampling.beams.search import BeamSearch

if TYPE_CHECKING:
    from friendli_endpoint.engine.blocks import BlockKey
    from friendli_endpoint.engine.vocabulary import Request
    from friendli_endpoint.sampling.history import History


@dataclass(slots=True, eq=False)
class Job:
    """`leader` computes the prompt for all; those `parked` begin behind it once it is computed."""

    request: Request
    leader: Sequence
    live: dict[int, Sequence]
    """The sequences that have not ended, by choice or slot."""
    parked: list[Sequence] = field(default_factory=list)
    search: BeamSearch | None = None
    cached_tokens: int | None = None
    """How much of the prompt came from the prefix cache when it was first computed."""
    announced: bool = False

    @classmethod
    def of(cls, request: Request, arrival: int, keys: list[BlockKey], history: History | None) -> Job:
        if history is not None:
            history.read(request.prompt)  # once for all
        sequences = [
            Sequence(request, choice, _tokens(request, choice), arrival, keys, history and history.copy())
            for choice in range(len(request.seeds))
        ]
        for sequence in sequences[1:]:
            sequence.phase = Phase.PARKED
        search = None if request.beams is None else BeamSearch(request)
        return cls(request, sequences[0], dict(enumerate(sequences)), sequences[1:], search)

    def rows_of(self, sequence: Sequence) -> int:
        """How many rows of a step a running sequence stands for, those to come included."""
        if self.request.beams is not None:
            return self.request.beams.width if sequence.choice == 0 else 0
        return 1 + len(self.parked) if sequence is self.leader else 1

    def together_with(self, sequence: Sequence) -> list[Sequence]:
        """Those that run and wait together: the beams of a search, in order of slot; a choice goes alone."""
        return [sequence] if self.search is None else [self.live[slot] for slot in sorted(self.live)]

    def generated(self) -> tuple[tuple[int, ...], ...]:
        """The tokens of each choice so far, none of those that have ended; see `Request.generated`."""
        outputs = {choice: tuple(sequence.tokens[sequence.prompt_length :]) for choice, sequence in self.live.items()}
        return tuple(outputs.get(choice, ()) for choice in range(len(self.request.seeds)))

    def note_cached(self, tokens: int) -> None:
        if self.cached_tokens is None:
            self.cached_tokens = tokens

    def drop(self, choice: int | None) -> list[Sequence]:
        """The sequences to end now, so that a choice (None: every one) goes no further."""
        if choice is None or self.search is not None:
            return list(self.live.values())
        sequence = self.live.get(choice)
        if sequence is None:
            return []
        sequence.wanted = False
        if not any(each.wanted for each in self.live.values()):
            return list(self.live.values())
        # The leader computes the prompt for the parked, so it stays until they run.
        return [] if sequence is self.leader and self.parked else [sequence]


def _tokens(request: Request, choice: int) -> list[int]:
    generated = request.generated[choice] if request.generated else ()
    return [*request.prompt, *generated]
