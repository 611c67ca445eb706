"""The database of what has ended: a line for each request, and days of which only the sums are kept."""

from __future__ import annotations

import math
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from friendli_endpoint.usage.records import DAY_MS
from friendli_endpoint.usage.schema import for_reading, for_writing, transaction
from friendli_endpoint.usage.totals import totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from friendli_endpoint.usage.records import Line, Query, UsageTotal

_PIECE: Final = 250
_PAUSE_SECONDS: Final = 0.005
_ADD = "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING"
# When the first line started, and the last of a piece, if there are so many.
_FIRST_PIECE = "SELECT min(started), (SELECT started FROM requests ORDER BY started LIMIT 1 OFFSET ?) FROM requests"
_MERGE = """
INSERT INTO days
    SELECT ?1, team, endpoint, adapter, count(*), sum(prompt), sum(cached), sum(completion)
    FROM requests WHERE started < ?2 GROUP BY team, endpoint, adapter
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

        Sums stay the same at every moment. It is done in pieces, between which what ends meanwhile is written.
        """
        merged = 0
        while piece := self._merge_piece(before):
            merged += piece
            if piece >= _PIECE:
                time.sleep(_PAUSE_SECONDS)  # a lock goes to whoever is first, and this thread would always be
        return merged

    def _merge_piece(self, before: float) -> int:
        """About `_PIECE` lines of the first day that has any."""
        with self._turn, transaction(self._connection):
            ((first, last),) = self._connection.execute(_FIRST_PIECE, (_PIECE - 1,))
            if first is None or first - first % DAY_MS + DAY_MS > before:
                return 0
            day = first - first % DAY_MS
            end = min(day + DAY_MS, math.inf if last is None else last + 1)
            self._connection.execute(_MERGE, (day, end))
            return self._connection.execute("DELETE FROM requests WHERE started < ?", (end,)).rowcount

    def close(self) -> None:
        with self._turn:
            self._connection.close()


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
