"""The adapters that the child has to have, on the server's side: who waits for one, and what a new child is told."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.vocabulary import AdapterAdded, AdapterRefused, AddAdapter, DropAdapter
from friendli_endpoint.errors import AdapterError, EngineError

if TYPE_CHECKING:
    from collections.abc import Set

    from friendli_endpoint.engine.vocabulary import AdapterCard

_log = logging.getLogger(__name__)
MOST_DEATHS: Final = 4
"""So many deaths of the child while it loads the same adapter, and that is taken for their cause."""


@dataclass(slots=True, eq=False)
class _Registered:
    """`answer` is done when nobody waits for it any more; `loaded` tells of the child that is there now."""

    path: str
    answer: asyncio.Future[AdapterCard]
    loaded: bool = False
    dropped: bool = False
    deaths: int = 0

    def fail(self, error: AdapterError | EngineError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class AdapterRegistry:
    """By key, in the order in which the child loads them, from `open` until they are refused or forgotten.

    A dropped one is kept for as long as requests use it, or somebody waits for it: a new child loads it for them, and
    is told again that it is dropped.
    """

    def __init__(self) -> None:
        self._registered: dict[str, _Registered] = {}
        self._untold: list[str] = []
        """Those dropped that the child does not know to be."""

    @property
    def loading(self) -> bool:
        """Whether the child has not loaded all of them yet."""
        return not all(each.loaded for each in self._registered.values())

    def open(self, key: str, path: str) -> asyncio.Future[AdapterCard]:
        """One more; what becomes of it. ValueError when the key is in use."""
        if key in self._registered:
            raise ValueError(f"adapter key {key!r} is in use")
        registered = _Registered(path, asyncio.get_running_loop().create_future())
        self._registered[key] = registered
        return registered.answer

    def has(self, key: str) -> bool:
        """Whether a child has to have it."""
        return key in self._registered

    def takes(self, key: str) -> bool:
        """Whether a new request may name this adapter."""
        registered = self._registered.get(key)
        return registered is not None and not registered.dropped

    def drop(self, key: str) -> None:
        """Let no new request name it; unknown keys are ignored."""
        if self.takes(key):
            self._registered[key].dropped = True
            self._untold.append(key)

    def forget(self, in_use: Set[str]) -> None:
        """Forget what was dropped and is neither in use nor waited for."""
        self._registered = {
            key: each
            for key, each in self._registered.items()
            if not each.dropped or key in in_use or not each.answer.done()
        }

    def book(self, event: AdapterAdded | AdapterRefused) -> None:
        """Enter what has become of one in the child; of those forgotten meanwhile nothing is kept."""
        registered = self._registered.get(event.key)
        if registered is None:
            return
        match event:
            case AdapterAdded(_, card):
                registered.loaded, registered.deaths = True, 0
                if not registered.answer.done():
                    registered.answer.set_result(card)
            case AdapterRefused(key, message):
                if registered.answer.done():
                    _log.error("adapter %s is lost: it could not be loaded again: %s", key, message)
                registered.fail(AdapterError(message))
                del self._registered[key]

    def again(self) -> list[AddAdapter]:
        """What a new child is told before it gets the requests."""
        return [AddAdapter(key, each.path) for key, each in self._registered.items()]

    def due_drops(self, held: Set[str]) -> list[DropAdapter]:
        """What the child is told as soon as it has got every request that needs it; those in `held` it has not."""
        due = [DropAdapter(key) for key in self._untold if key not in held]
        self._untold = [key for key in self._untold if key in held]
        return due

    def count_death(self) -> None:
        """The child has died with all that it had loaded: give up the one that was being loaded at too many deaths.

        They are loaded in order, so that is the first that is not loaded yet.
        """
        loading = next((key for key, each in self._registered.items() if not each.loaded), None)
        self.unload()
        if loading is not None:
            self._blame(loading, self._registered[loading])

    def unload(self) -> None:
        """There is no child any more that has loaded anything."""
        for each in self._registered.values():
            each.loaded = False
        self._untold = [key for key, each in self._registered.items() if each.dropped]

    def fail_waiting(self, reason: str) -> None:
        """Give up those that somebody waits for."""
        waiting = [key for key, each in self._registered.items() if not each.answer.done()]
        for key in waiting:
            self._registered.pop(key).fail(EngineError(reason))

    def _blame(self, key: str, registered: _Registered) -> None:
        registered.deaths += 1
        if registered.deaths < MOST_DEATHS:
            return
        if registered.answer.done():
            _log.error("adapter %s is lost: the engine ended again and again while loading it", key)
        registered.fail(EngineError("the engine ended again and again while loading this adapter"))
        del self._registered[key]
