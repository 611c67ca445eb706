"""The ledger of one server: a request is in its journal while it runs, and in the database when it has ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from friendli_endpoint.errors import ConfigError, LedgerError
from friendli_endpoint.usage.journal import Journal, left_behind
from friendli_endpoint.usage.records import DAY_MS, Line, Outcome, Query, UsageTotal, Who
from friendli_endpoint.usage.schema import FILE_NAME
from friendli_endpoint.usage.slot import Begun
from friendli_endpoint.usage.store import Store
from friendli_endpoint.usage.writer import Ended, Waiter, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from friendli_endpoint.usage.slot import Slot

T = TypeVar("T")


class Ledger:
    """Counts each request once, whatever happens to the process. Several servers may share a folder."""

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        """See `open`."""
        self._folder = folder
        self._clock = clock
        self._store = Store(None if folder is None else folder / FILE_NAME)
        self._recover()
        self._journal = Journal(folder)
        self._writer = Writer(self._store.add, self._journal.give_back)

    @classmethod
    def open(cls, folder: Path | None, *, clock: Callable[[], float] = time.time) -> Ledger:
        """The ledger in `folder`, with what servers that died left there; None keeps sums of days, in memory only.

        `clock` gives seconds since 1970. Raises `EndpointError` when the folder, or what is in it, cannot be used.
        """
        if folder is None:
            return cls(None, clock)
        try:
            with _alone_in(folder):
                return cls(folder, clock)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"Usage cannot be kept in {folder}: {_reason(error)}.") from error

    @property
    def unwritten(self) -> int:
        """Requests whose line could not be written so far; they are in the journal."""
        return self._writer.unwritten

    def begin(self, who: Who) -> Entry:
        """Count a request in. Raises `LedgerError` when there is no room, `RequestError` for names too long."""
        slot = self._journal.take()
        begun = Begun(who, int(self._clock() * 1000))
        try:
            slot.begin(begun)
        except BaseException:
            self._journal.give_back(slot)
            raise
        return Entry(begun, slot, self._writer)

    def totals(self, query: Query) -> list[UsageTotal]:
        """The sums of what has ended. Blocks; raises `RequestError` for too many groups, and `LedgerError`."""
        return self._doing(lambda: self._store.totals(query))

    def rotate(self, keep_days: int) -> int:
        """Merge what is older than `keep_days` whole days into sums of days; how many requests it were.

        Takes in what servers that died have left meanwhile. Blocks; raises `LedgerError`.
        """
        today = int(self._clock() * 1000) // DAY_MS * DAY_MS
        return self._doing(lambda: self._rotate(today - keep_days * DAY_MS))

    def close(self) -> None:
        """Write what has ended. What still runs is left to whoever opens the ledger next, as interrupted."""
        self._writer.close()
        self._journal.close()
        self._store.close()

    def _rotate(self, before: int) -> int:
        # A journal's request may be in the database already: it must be looked for there before its line is merged.
        self._recover()
        return self._store.merge(before)

    def _recover(self) -> None:
        if self._folder is not None:
            with left_behind(self._folder) as lines:
                if lines:
                    self._store.add(lines)

    def _doing(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"The usage ledger cannot be used now: {_reason(error)}.") from error


class Entry:
    """One request on its way through; to be used by one event loop. Once closed or abandoned it does nothing."""

    __slots__ = ("_begun", "_slot", "_writer")

    def __init__(self, begun: Begun, slot: Slot, writer: Writer) -> None:
        self._begun = begun
        self._slot: Slot | None = slot
        self._writer = writer

    def count(self, *, prompt: int, cached: int, completion: int) -> None:
        """All tokens so far, to be called before those are handed on. Takes a microsecond and touches no file."""
        if self._slot is not None:
            self._slot.count(prompt, cached, completion)

    async def close(self, outcome: Outcome) -> None:
        """Return when the line is committed, or when that failed and it is kept in the journal."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self._end(outcome, Waiter(loop, future)):
            await future

    def abandon(self, outcome: Outcome) -> None:
        """As `close`, without waiting."""
        self._end(outcome, None)

    def _end(self, outcome: Outcome, waiter: Waiter | None) -> bool:
        """Hand the line on; whether anyone will tell the waiter."""
        slot, self._slot = self._slot, None
        if slot is None:
            return False
        line = Line(who=self._begun.who, started=self._begun.started, outcome=outcome, counts=slot.counts())
        return self._writer.put(Ended(line, slot, waiter))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The folder, made if it is not there; other processes wait for the end of the body."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _reason(error: OSError | sqlite3.Error) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
