"""Which of those that wait may start, as far as adapters are concerned: so many different ones run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from friendli_endpoint.engine.sequence import Sequence


class AdapterSlots:
    """The adapters among the `running`, at most `most`, while one step lets others in; see the scheduler for the rule.

    Whoever waits is to be asked for in order of age. `patience` is how many may pass one for whose adapter there is no
    slot.
    """

    def __init__(self, running: Iterable[Sequence], most: int, patience: int) -> None:
        self._held = {adapter for each in running if (adapter := each.request.adapter) is not None}
        self._most = most
        self._patience = patience
        self._head: Sequence | None = None
        """The oldest for whose adapter there is no slot."""

    def admits(self, sequence: Sequence) -> bool:
        """Whether it may start now."""
        adapter = sequence.request.adapter
        if adapter is None:
            return True
        if self._head is not None and self._head.passed >= self._patience:
            return False
        if adapter in self._held or len(self._held) < self._most:
            return True
        self._head = self._head or sequence
        return False

    def take(self, sequence: Sequence) -> None:
        """One that `admits` allowed starts."""
        if sequence.request.adapter is None:
            return
        self._held.add(sequence.request.adapter)
        sequence.passed = 0
        if self._head is not None:
            self._head.passed += 1
