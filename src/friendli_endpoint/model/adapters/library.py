"""Every adapter that has been added, and the graph for them, made beside the steps that go on meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
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
    from collections.abc import Callable, Sequence, Set

    import numpy as np
    from numpy.typing import NDArray

    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.adapters.spool import Spool
    from friendli_endpoint.model.config import ModelConfig
    from friendli_endpoint.model.graph import Graph

SMALLEST_RANK = 8  # the arena's rank is a multiple: a vector register holds so many numbers anyway


@dataclass(frozen=True, slots=True)
class Graphs:
    """Makes a graph with branches for adapters; `bytes` is what one takes while it is made."""

    make: Callable[[Sequence[Branch]], Graph]
    bytes: int


class Library:
    """`add` belongs to one thread; everything else to the one that steps."""

    def __init__(self, config: ModelConfig, spool: Spool, slots: int, graphs: Graphs) -> None:
        self._config = config
        self._spool = spool
        self._slots = slots
        self._graphs = graphs
        self._adapters: dict[str, Adapter] = {}
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

    def prepare(self, adapters: Sequence[str | None], lengths: NDArray[np.int32]) -> Graph:
        """The graph, fed for rows of `lengths` tokens with these adapters, None for the base model."""
        return self.stage.prepare(adapters, lengths, self._adapters)

    def add(self, key: str, path: str) -> AdapterCard:
        """Store an adapter and see to a graph that takes it; AdapterError when it cannot be served."""
        adapter = self._spool.find(key) or self._spool.store(key, read_adapter(Path(path), self._config))
        try:
            with self._changing:
                self._make_room(adapter)
                self._spool.keep(key)
                with self._entering:
                    self._adapters[key] = adapter
        except BaseException:
            self._spool.remove(key)
            raise
        return AdapterCard(adapter.rank, adapter.targets, adapter.parameters)

    def drop(self, key: str) -> None:
        with self._entering:
            gone = self._adapters.pop(key, None)
            if gone is None:
                return
            self.stage.residents.remove(key)
            self._spool.remove(key)
        if _padded(gone.rank) == self.stage.rank:
            Thread(target=self._shrink, name="adapter arena", daemon=True).start()

    def _make_room(self, adapter: Adapter) -> None:
        """Replace the stage when it cannot take the adapter.

        After a restart the first one is for all of the spool: those that are added next find their room already made.
        """
        stage, targets = self._stage, set(adapter.targets)
        if stage is None:
            with self._entering:
                stored = list(self._spool.all())
            try:
                together = targets.union(*(each.targets for each in stored))
                self._make_stage(together, max([adapter.rank, *(each.rank for each in stored)]))
            except AdapterError:  # there is less memory than there was: the one that is too large is told so itself
                self._make_stage(targets, adapter.rank)
        elif not stage.targets >= targets:
            # A graph takes seconds to make: this second one is the last.
            self._make_stage(set(PROJECTIONS), max(stage.rank, adapter.rank))
        elif stage.rank < adapter.rank:
            self._check_memory(stage.branches, _padded(adapter.rank))
            self._replace(stage.graph, stage.branches, _padded(adapter.rank))

    def _make_stage(self, targets: Set[str], rank: int) -> None:
        entries = list(branches(self._config, targets))
        self._check_memory(entries, _padded(rank), self._graphs.bytes)
        self._replace(self._graphs.make(entries), entries, _padded(rank))

    def _shrink(self) -> None:
        """Make the arena as narrow as the adapters that are left allow; the graph does not depend on its rank."""
        with self._changing:
            largest = _padded(max((each.rank for each in self._adapters.copy().values()), default=1))
            if largest < self.stage.rank:
                self._replace(self.stage.graph, self.stage.branches, largest)

    def _replace(self, graph: Graph, entries: Sequence[Branch], rank: int) -> None:
        """A new stage, with what is resident in the old one."""
        new = Stage(graph, entries, rank, self._slots)
        adapters = self._adapters.copy()
        if resident := [key for key in self._stage.residents.keys if key in adapters] if self._stage else []:
            new.residents.place(resident, adapters)
        with self._entering:
            for key in adapters.keys() - self._adapters.keys():
                new.residents.remove(key)
            self._stage = new

    def _check_memory(self, entries: Sequence[Branch], rank: int, beside: int = 0) -> None:
        needed = self._slots * Arena.bytes_per_slot(entries, rank) + beside
        if needed > free_bytes():
            raise AdapterError(
                f"{self._slots} adapters of rank {rank} in memory would take {needed >> 20} MiB with what serves them, "
                "more than is free; let fewer be resident (--resident-adapters), or lower the rank"
            )


def _padded(rank: int) -> int:
    return -(-rank // SMALLEST_RANK) * SMALLEST_RANK
