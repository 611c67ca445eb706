"""One choice or one beam of a request on its way: its tokens, and how much of them the KV blocks hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli_endpoint.engine.blocks import BlockKey
    from friendli_endpoint.engine.vocabulary import Request
    from friendli_endpoint.sampling.grammar import Matcher
    from friendli_endpoint.sampling.history import History


class Phase(Enum):
    """WAITING -> RUNNING -> ENDED for the one that computes the prompt, PARKED -> RUNNING -> ENDED for its company.

    A preempted sequence goes back to WAITING, but of a beam search only one: the others are PARKED again.
    """

    WAITING = auto()
    PARKED = auto()
    RUNNING = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Sequence:
    """`tokens` is prompt and output; KV of the first `computed` of them is in `blocks`.

    The prompt is computed in chunks (prefill), the output one token a step (decode): also when it is computed again
    after a preemption or a restart, because only the same kernel gives the same bits. So a sequence is a decode row
    from the end of its prompt on, and wants a draw exactly when a row reaches its last token. `choice` is the slot of
    a beam. `wanted` turns false when its choice is aborted while it still computes the prompt for others. `passed`
    counts the younger ones that have started since it has waited for a slot for its adapter.
    """

    request: Request
    choice: int
    tokens: list[int]
    arrival: int
    keys: list[BlockKey] = field(default_factory=list)
    history: History | None = None
    blocks: list[int] = field(default_factory=list)
    computed: int = 0
    phase: Phase = Phase.WAITING
    wanted: bool = True
    passed: int = 0

    @property
    def prompt_length(self) -> int:
        return len(self.request.prompt)

    @property
    def generated(self) -> int:
        return len(self.tokens) - self.prompt_length

    @property
    def prefilling(self) -> bool:
        return self.computed < self.prompt_length

    def age(self) -> tuple[int, int]:
        """Sorts the older first."""
        return self.arrival, self.choice

    def chunk(self, budget: int) -> int:
        """How many tokens the next row takes, 0 when the budget is too small for a legal row.

        A prefill chunk of a single token would take decode's attention path, with other rounding: neither a chunk nor
        what it leaves over is one token, but for a prompt that is no longer.
        """
        if not self.prefilling:
            return 1 if budget else 0
        left = self.prompt_length - self.computed
        if left <= budget:
            return left
        size = min(budget, left - 2)
        return size if size > 1 else 0

    def catch_up(self) -> History | None:
        """What the controls have to know, up to the last token."""
        if self.history is not None:
            self.history.read(self.tokens)
        return self.history

    def matcher(self) -> Matcher | None:
        """Its state in its grammar, up to the last token."""
        if self.history is None or self.history.matcher is None:
            return None  # nothing is read ahead of its time
        self.catch_up()
        return self.history.matcher

    def twin(self, length: int) -> Sequence:
        """A sequence with the same first `length` tokens, which are all that `history` may have read; no blocks yet."""
        history = None if self.history is None else self.history.copy()
        return Sequence(self.request, self.choice, self.tokens[:length], self.arrival, self.keys, history)
