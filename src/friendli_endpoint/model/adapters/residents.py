"""Which adapters lie in the arena; the least recently used makes room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.adapters.arena import Arena


class Residents:
    """Adapters by key, moved between their files and the slots of an arena."""

    def __init__(self, arena: Arena, slots: int) -> None:
        self._arena = arena
        self._size = slots
        self._slots: dict[str, int] = {}  # in the order of their last use

    @property
    def keys(self) -> list[str]:
        """The adapters in memory, the least recently used first."""
        return list(self._slots)

    def place(self, keys: Sequence[str], adapters: Mapping[str, Adapter]) -> dict[str, int]:
        """The slots of some different ones of the `adapters`, at most as many as there are slots."""
        for key in keys:
            if key in self._slots:
                self._slots[key] = self._slots.pop(key)
        for key in keys:
            if key not in self._slots:
                self._write(key, adapters[key])
        self._move_closer(keys)
        return {key: self._slots[key] for key in keys}

    def remove(self, key: str) -> None:
        """Give back an adapter's slot, if it has one."""
        self._slots.pop(key, None)

    def _write(self, key: str, adapter: Adapter) -> None:
        if len(self._slots) == self._size:
            self._slots.pop(next(iter(self._slots)))
        slot = min(set(range(self._size)).difference(self._slots.values()))
        self._arena.write(slot, adapter.changes)
        self._slots[key] = slot

    def _move_closer(self, keys: Sequence[str]) -> None:
        """The graph reads every slot up to the last one in use, so there should be no others below it.

        One exchange a time: it costs about a tenth of a step, a slot read for nothing a fiftieth.
        """
        used = {self._slots[key] for key in keys}
        last = max(used)
        hole = min(set(range(last)) - used, default=last)
        if hole != last:
            self._arena.exchange(hole, last)
            other = {hole: last, last: hole}
            self._slots = {key: other.get(slot, slot) for key, slot in self._slots.items()}
