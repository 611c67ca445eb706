"""The adapters of a core, by key: loaded beside the steps, forgotten once nobody uses them."""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import get_native_id
from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.vocabulary import AdapterAdded, AdapterRefused
from friendli_endpoint.errors import AdapterError
from friendli_endpoint.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.engine.vocabulary import AdapterCard, Event

_log = logging.getLogger(__name__)
_GRACE_SECONDS: Final = 2.0
_LEAST_PRIORITY: Final = 19


class Adapters:
    """Each key is queued, loading, then loaded, then gone; one that cannot be loaded is gone at once.

    They are loaded one after another, since each is slow, and the next one not before the last one was reported: when
    the process dies of one, those before it are known to be innocent.

    Dropping a key keeps new requests from naming it and changes nothing else: what is loading is loaded to its end and
    reported, who waits for it is served, and then it goes. All of this happens in `settle`, between two steps.
    `when_loaded` is called from any thread when `settle` has something to do.
    """

    def __init__(self, model: StepModel, when_loaded: Callable[[], None]) -> None:
        self._model = model
        self._when_loaded = when_loaded
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="adapter", initializer=_give_way)
        self._queued: dict[str, str] = {}
        self._loading: dict[str, Future[AdapterCard]] = {}
        self._loaded: set[str] = set()
        self._dropped: set[str] = set()

    @property
    def loaded(self) -> int:
        """How many are loaded."""
        return len(self._loaded)

    def add(self, key: str, path: str) -> None:
        """Queue an adapter, to be loaded in its turn. ValueError when the key is in use."""
        if self.has(key):
            raise ValueError(f"adapter key {key!r} is in use")
        self._queued[key] = path

    def drop(self, key: str) -> None:
        """Let a key go once nobody uses it; unknown keys are ignored."""
        if self.has(key):
            self._dropped.add(key)

    def has(self, key: str) -> bool:
        """Whether a request that was let in can go on with this adapter, now or when it is loaded."""
        return self.is_loading(key) or key in self._loaded

    def takes(self, key: str) -> bool:
        """Whether a new request may name this adapter."""
        return self.has(key) and key not in self._dropped

    def is_loading(self, key: str) -> bool:
        """Whether it is on its way."""
        return key in self._queued or key in self._loading

    def busy(self, in_use: Callable[[], Set[str]]) -> bool:
        """Whether `settle` has something to do."""
        due = any(loading.done() for loading in self._loading.values()) if self._loading else bool(self._queued)
        return due or bool(self._unused(in_use))

    def settle(self, in_use: Callable[[], Set[str]]) -> list[Event]:
        """Enter what has been loaded, forget what was dropped and is not in `in_use`, the keys that requests name.

        What this returns is to be reported before it is called again.
        """
        self._begin_next()
        done = [key for key, loading in self._loading.items() if loading.done()]
        events = [self._enter(key, self._loading.pop(key)) for key in done]
        for key in self._unused(in_use):
            self._dropped.remove(key)
            self._loaded.remove(key)
            self._model.drop_adapter(key)
        return events

    def close(self) -> None:
        """Give up what has not begun to be loaded, and wait a while for what has."""
        self._queued.clear()
        self._loader.shutdown(wait=False)
        wait(self._loading.values(), _GRACE_SECONDS)

    def _begin_next(self) -> None:
        if self._loading or not self._queued:
            return
        key = next(iter(self._queued))
        self._loading[key] = loading = self._load(key, self._queued.pop(key))
        loading.add_done_callback(lambda _: self._when_loaded())

    def _load(self, key: str, path: str) -> Future[AdapterCard]:
        if self._model.card.adapters:
            return self._loader.submit(self._model.add_adapter, key, path)
        refused: Future[AdapterCard] = Future()
        refused.set_exception(AdapterError("this engine has no room for adapters; its log says why"))
        return refused

    def _enter(self, key: str, loading: Future[AdapterCard]) -> Event:
        if (error := loading.exception()) is not None:
            self._dropped.discard(key)
            return _refusal(key, error)
        self._loaded.add(key)
        return AdapterAdded(key, loading.result())

    def _unused(self, in_use: Callable[[], Set[str]]) -> Set[str]:
        leaving = self._dropped & self._loaded
        return leaving - in_use() if leaving else leaving


def _give_way() -> None:
    """Let the steps have the processor before this thread and those that it starts."""
    if sys.platform == "linux":  # elsewhere this would be about the whole process
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _LEAST_PRIORITY)


def _refusal(key: str, error: BaseException) -> AdapterRefused:
    """An adapter that we failed on must not take the engine down."""
    if isinstance(error, AdapterError):
        return AdapterRefused(key, str(error))
    _log.error("adapter %s could not be loaded:\n%s", key, trace_of(error))
    return AdapterRefused(key, "the engine failed to load the adapter; its log says why")
