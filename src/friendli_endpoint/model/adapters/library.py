"""Every adapter that has been added, and the graph for them, made beside the steps that go on meanwhile."""

from __future__ import annotations

from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from friendli_endpoint.engine.vocabulary import AdapterCard
from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters import read_adapter
from friendli_endpoint.model.adapters.arena import Arena
from friendli_endpoint.model.adapters.branches import branches
from friendli_endpoint.model.adapters.stage import Stage
from friendli_endpoint.model.memory import free_bytes
from friendli_endpoint.model.names import PROJECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.adapters.spool import Spool
    from friendli_endpoint.model.config import ModelConfig
    from friendli_endpoint.model.graph import Graph

SMALLEST_RANK = 8  # the arena's rank is a multiple: a vector register holds so many numbers anyway


class Library:
    """`add` belongs to one thread; everything else to the one that steps."""

    def __init__(
        self, config: ModelConfig, spool: Spool, slots: int, make_graph: Callable[[Sequence[Branch]], Graph]
    ) -> None:
        self._config = config
        self._spool = spool
        self._slots = slots
        self._make_graph = make_graph
        self._adapters: dict[str, Adapter] = {}
        self._cards: dict[str, AdapterCard] = {}
        self._stage: Stage | None = None
        self._changing = Lock()
        """Held while the stage is being replaced."""
        self._entering = Lock()
        """Held for the moment in which an adapter or a stage comes or goes."""

    @property
    def stage(self) -> Stage:
        """Takes every adapter that has been added."""
        if self._stage is None:
            raise ValueError("no adapter has been added")
        return self._stage

    def add(self, key: str, path: str) -> AdapterCard:
        """Store an adapter and see to a graph that takes it; AdapterError when it cannot be served."""
        adapter = self._spool.find(key) or self._spool.store(key, read_adapter(Path(path), self._config))
        card = AdapterCard(adapter.rank, adapter.targets, adapter.parameters)
        try:
            with self._changing:
                self._make_room(card)
                with self._entering:
                    self._adapters[key], self._cards[key] = adapter, card
        except BaseException:
            self._spool.remove(key)
            raise
        return card

    def drop(self, key: str) -> None:
        with self._entering:
            if self._adapters.pop(key, None) is None:
                return
            gone = self._cards.pop(key)
            self.stage.residents.remove(key)
            self._spool.remove(key)
            largest = _padded(max((card.rank for card in self._cards.values()), default=0))
        if largest < _padded(gone.rank):
            Thread(target=self._shrink, name="adapter arena", daemon=True).start()

    def _make_room(self, card: AdapterCard) -> None:
        """Replace the stage when it cannot take the adapter.

        After a restart the first one is for all of the spool: those that are added next find their room already made.
        """
        stage, targets = self._stage, set(card.targets)
        if stage is None:
            with self._entering:
                stored = list(self._spool.all())
            entries = list(branches(self._config, targets.union(*(each.targets for each in stored))))
            rank = _padded(max(card.rank, *(each.rank for each in stored)))
            self._check_memory(entries, rank)
            self._replace(self._make_graph(entries), entries, rank)
        elif not stage.targets >= targets:
            # A graph takes seconds to make: this second one is the last.
            entries, rank = list(branches(self._config, set(PROJECTIONS))), max(stage.rank, _padded(card.rank))
            self._check_memory(entries, rank)
            self._replace(self._make_graph(entries), entries, rank)
        elif stage.rank < card.rank:
            self._check_memory(stage.branches, _padded(card.rank))
            self._replace(stage.graph, stage.branches, _padded(card.rank))

    def _shrink(self) -> None:
        """Make the arena as narrow as the adapters that are left allow; the graph does not depend on its rank."""
        with self._changing:
            largest = _padded(max((card.rank for card in self._cards.copy().values()), default=1))
            if largest < self.stage.rank:
                self._replace(self.stage.graph, self.stage.branches, largest)

    def _replace(self, graph: Graph, entries: Sequence[Branch], rank: int) -> None:
        """A new stage, with what is resident in the old one."""
        with self._entering:
            new = Stage(graph, entries, rank, self._slots, self._adapters)
            if resident := [key for key in self._stage.residents.keys if key in self._adapters] if self._stage else []:
                new.residents.place(resident)
            self._stage = new

    def _check_memory(self, entries: Sequence[Branch], rank: int) -> None:
        per_slot = Arena.bytes_per_slot(entries, rank)
        if per_slot * self._slots > free_bytes():
            raise AdapterError(
                f"{self._slots} adapters in memory would take {self._slots * per_slot >> 20} MiB, more than is free; "
                "let fewer be resident (--resident-adapters), or lower the rank"
            )


def _padded(rank: int) -> int:
    return -(-rank // SMALLEST_RANK) * SMALLEST_RANK
