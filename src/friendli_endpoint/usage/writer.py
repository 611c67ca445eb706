"""The thread that writes lines: whatever waits goes into one transaction, and whoever waits for it is told."""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from friendli_endpoint.usage.records import Line
    from friendli_endpoint.usage.slot import Slot

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0


class Waiter(NamedTuple):
    """A task on an event loop, by the future that it waits for."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed, and its tasks with it
            self.loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Ended(NamedTuple):
    """A request that is to be written, the slot that it has until then, and who waits."""

    line: Line
    slot: Slot
    waiter: Waiter | None


class Writer:
    """Writes with `write`, which may raise, and hands slots of what is written to `give_back`.

    What cannot be written keeps its slot, is tried again later, and nobody waits for it any more.
    """

    def __init__(self, write: Callable[[Sequence[Line]], None], give_back: Callable[[Slot], None]) -> None:
        self._write = write
        self._give_back = give_back
        self._queue: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
        self._kept: list[Ended] = []
        self._door = threading.Lock()  # nothing is put behind the end
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="friendli-usage", daemon=True)
        self._thread.start()

    @property
    def unwritten(self) -> int:
        """Requests that could not be written so far."""
        return len(self._kept)

    def put(self, ended: Ended) -> bool:
        """Have a request written; False after `close`, when nothing is."""
        with self._door:
            if not self._closed:
                self._queue.put(ended)
            return not self._closed

    def close(self) -> None:
        """Return when everything is written, or was tried once more."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group = self._waiting()
            going = None not in group
            if self._commit([ended for ended in group if ended is not None]) and self._kept:
                self._try_again()

    def _waiting(self) -> list[Ended | None]:
        """All that there is, at least one; nothing when it is time to try again. None is the end."""
        try:
            group = [self._queue.get(timeout=_RETRY_SECONDS if self._kept else None)]
        except queue.Empty:
            return []
        while not self._queue.empty():  # nobody else takes from it
            group.append(self._queue.get())
        return group

    def _commit(self, group: Sequence[Ended]) -> bool:
        """Write them, or keep them; nobody waits for them afterwards."""
        try:
            if group:
                self._write([ended.line for ended in group])
        except Exception as error:  # whatever it is, requests must not hang on it
            self._keep(group, error)
            return False
        finally:
            _wake(group)
        for ended in group:
            self._give_back(ended.slot)
        return True

    def _try_again(self) -> None:
        kept, self._kept = self._kept, []
        if self._commit(kept):
            _log.warning("what %d requests used is written now, after all", len(kept))

    def _keep(self, group: Sequence[Ended], error: Exception) -> None:
        if not self._kept:
            _log.error("what requests used cannot be written (%s); it is kept in the journal", error)
        for ended in group:
            ended.slot.end(ended.line.outcome)
            self._kept.append(ended._replace(waiter=None))


def _wake(group: Sequence[Ended]) -> None:
    for ended in group:
        if ended.waiter is not None:
            ended.waiter.wake()
