"""The database of what has ended: a line for each request, and days of which only the sums are kept."""

from __future__ import annotations

import math
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from friendli_endpoint.usage.records import DAY_MS
from friendli_endpoint.usage.schema import for_reading, for_writing, transaction
from friendli_endpoint.usage.totals import totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from friendli_endpoint.usage.records import Line, Query, UsageTotal

_ADD = "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING"
_MERGE = """
INSERT INTO days
    SELECT ?1, team, endpoint, adapter, count(*), sum(prompt), sum(cached), sum(completion)
    FROM requests WHERE started >= ?1 AND started < ?2 GROUP BY team, endpoint, adapter
ON CONFLICT (day, team, endpoint, adapter) DO UPDATE SET
    requests = requests + excluded.requests,
    prompt = prompt + excluded.prompt,
    cached = cached + excluded.cached,
    completion = completion + excluded.completion
"""


class Store:
    """One connection that writes, by one thread at a time; readers of a file have connections of their own.

    Every method may block, and raises `sqlite3.Error`.
    """

    def __init__(self, path: Path | None) -> None:
        """None keeps the database in memory. Raises as `schema.for_writing` does."""
        self._path = path
        self._connection = for_writing(path)
        self._turn = threading.Lock()

    def add(self, lines: Sequence[Line]) -> None:
        """Commit those that are not there yet, all of them or none. In memory, only their days stay."""
        with self._turn, transaction(self._connection):
            self._connection.executemany(_ADD, map(_row, lines))
        if self._path is None:
            self.merge()

    def totals(self, query: Query) -> list[UsageTotal]:
        """See `totals.totals`."""
        if self._path is None:
            with self._turn:
                return totals(self._connection, query)
        with closing(for_reading(self._path)) as connection:
            return totals(connection, query)

    def merge(self, before: float = math.inf) -> int:
        """Turn lines of whole days before `before` (milliseconds) into sums of days; how many lines it were.

        Sums stay the same at every moment; a day is one transaction, so that others have to wait for no more than that.
        """
        merged = 0
        while (first := self._first()) is not None and first + DAY_MS <= before:
            with self._turn, transaction(self._connection):
                self._connection.execute(_MERGE, (first, first + DAY_MS))
                span = "DELETE FROM requests WHERE started >= ? AND started < ?"
                merged += self._connection.execute(span, (first, first + DAY_MS)).rowcount
        return merged

    def shrink(self) -> None:
        """Move what the log holds into the database proper, as far as no reader needs it."""
        with self._turn:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _first(self) -> int | None:
        """The first day that has lines."""
        with self._turn:
            ((first,),) = self._connection.execute("SELECT min(started) FROM requests")
        return None if first is None else int(first) // DAY_MS * DAY_MS


def _row(line: Line) -> tuple[object, ...]:
    who = line.who
    return (
        who.request_id,
        line.started,
        who.team,
        who.token,
        who.endpoint,
        who.adapter or "",
        line.outcome,
        *line.counts,
    )
