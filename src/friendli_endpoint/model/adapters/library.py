"""Every adapter that has been added, and the graph for them, made beside the steps that go on meanwhile."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from friendli_endpoint.engine.vocabulary import AdapterCard
from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters import read_adapter
from friendli_endpoint.model.adapters.arena import Arena
from friendli_endpoint.model.adapters.branches import branches
from friendli_endpoint.model.adapters.stage import Stage
from friendli_endpoint.model.memory import free_bytes

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
        self._stage: Stage | None = None
        self._lock = Lock()

    @property
    def stage(self) -> Stage:
        """Takes every adapter that has been added."""
        if self._stage is None:
            raise ValueError("no adapter has been added")
        return self._stage

    def add(self, key: str, path: str) -> AdapterCard:
        """Store an adapter and see to a graph that takes it; AdapterError when it cannot be served."""
        adapter = self._spool.find(key) or self._spool.store(key, read_adapter(Path(path), self._config))
        try:
            self._make_room(adapter)
        except BaseException:
            self._spool.remove(key)
            raise
        self._adapters[key] = adapter
        return AdapterCard(adapter.rank, adapter.targets, adapter.parameters)

    def drop(self, key: str) -> None:
        with self._lock:
            if self._adapters.pop(key, None) is None:
                return
            self.stage.residents.remove(key)
            self._spool.remove(key)

    def _make_room(self, adapter: Adapter) -> None:
        """Replace the stage when it cannot take the adapter; the new one is for those that are there now.

        After a restart that is all of the spool: those that are added next find their room already made.
        """
        stage = self._stage
        if stage and stage.rank >= adapter.rank and stage.targets >= set(adapter.targets):
            return
        with self._lock:
            served = list(self._spool.all())
        rank = -(-max(each.rank for each in served) // SMALLEST_RANK) * SMALLEST_RANK
        targets = {part for each in served for part in each.targets}
        entries = list(branches(self._config, targets))
        self._check_memory(Arena.bytes_per_slot(entries, rank))
        # The graph itself does not depend on the rank.
        graph = stage.graph if stage and stage.targets == targets else self._make_graph(entries)
        with self._lock:
            new = Stage(graph, entries, rank, self._slots, self._adapters)
            if resident := [key for key in stage.residents.keys if key in self._adapters] if stage else []:
                new.residents.place(resident)
            self._stage = new

    def _check_memory(self, per_slot: int) -> None:
        if per_slot * self._slots > free_bytes():
            raise AdapterError(
                f"{self._slots} adapters in memory would take {self._slots * per_slot >> 20} MiB, more than is free; "
                "let fewer be resident (--resident-adapters), or lower the rank"
            )
