"""The graph that takes adapters, with the arena that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.model.adapters.arena import Arena
from friendli_endpoint.model.adapters.residents import Residents
from friendli_endpoint.model.low_rank import group_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from numpy.typing import NDArray

    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.graph import Graph


class Stage:
    """For adapters that change `targets` with at most `rank`; the larger of both, the more every step costs."""

    def __init__(self, graph: Graph, branches: Sequence[Branch], rank: int, slots: int) -> None:
        self.graph = graph
        self.branches = tuple(branches)
        self.rank = rank
        self._arena = Arena(branches, rank, slots)
        self.residents = Residents(self._arena, slots)
        self._fed = 0

    @property
    def targets(self) -> Set[str]:
        return {part for branch in self.branches for part in branch.places}

    def prepare(
        self, of_rows: Sequence[str | None], lengths: NDArray[np.int32], adapters: Mapping[str, Adapter]
    ) -> Graph:
        """The graph, fed for rows of `lengths` tokens with these of the `adapters`, None for the base model."""
        slots = self.residents.place(list(dict.fromkeys(filter(None, of_rows))), adapters)
        groups = max(slots.values()) + 1
        if groups != self._fed:
            self.graph.share(self._arena.feeds(groups))
            self._fed = groups
        slot_of_rows = np.array([-1 if key is None else slots[key] for key in of_rows], np.int64)
        self.graph.feed(group_tokens(np.repeat(slot_of_rows, lengths), groups, self.branches))
        return self.graph
