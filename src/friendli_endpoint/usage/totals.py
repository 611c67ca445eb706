"""From a query to sums. What was asked for is only ever a parameter of the SQL, never a part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from friendli_endpoint.errors import RequestError
from friendli_endpoint.usage.records import DAY_MS, Key, Query, UsageTotal, milliseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

MOST_GROUPS: Final = 10_000
_COLUMNS: dict[Key, str] = {
    "team": "team",
    "endpoint": "endpoint",
    "adapter": "adapter",
    "day": f"started / {DAY_MS}",
}


def totals(connection: sqlite3.Connection, query: Query) -> list[UsageTotal]:
    """The sums of each group that has requests, ordered by what `query.by` names.

    Raises `RequestError` when there are more than `MOST_GROUPS`.
    """
    statement, values = _select(query)
    found = connection.execute(statement, values).fetchall()
    if len(found) > MOST_GROUPS:
        raise RequestError(f"There are more than {MOST_GROUPS:,} groups: ask for fewer keys or days.", field="by")
    return [_total(query.by, row) for row in found]


def _select(query: Query) -> tuple[str, list[object]]:
    conditions = list(_conditions(query))
    where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
    keys = ", ".join(_COLUMNS[key] for key in query.by)
    statement = (
        f"SELECT {keys + ',' if keys else ''} sum(requests), sum(prompt), sum(cached), sum(completion) "  # noqa: S608
        f"FROM usage WHERE {where} GROUP BY {keys or 'NULL'} ORDER BY {keys or 'NULL'} LIMIT {MOST_GROUPS + 1}"
    )
    return statement, [value for _, values in conditions for value in values]


def _conditions(query: Query) -> Iterator[tuple[str, Sequence[object]]]:
    if query.start is not None:
        yield "started >= ?", [milliseconds(query.start)]
    if query.end is not None:
        yield "started < ?", [milliseconds(query.end)]
    if query.team is not None:
        yield "team = ?", [query.team]
    if query.endpoint is not None:
        yield "endpoint = ?", [query.endpoint]
    if query.endpoints is not None:
        yield f"endpoint IN ({', '.join('?' * len(query.endpoints))})", sorted(query.endpoints)


def _total(by: Sequence[Key], row: Sequence[str | int]) -> UsageTotal:
    keys = {key: _day(value) if key == "day" else str(value) for key, value in zip(by, row, strict=False)}
    requests, prompt, cached, completion = map(int, row[len(by) :])
    return UsageTotal(
        team=keys.get("team", UNSET),
        endpoint=keys.get("endpoint", UNSET),
        adapter=keys["adapter"] or None if "adapter" in keys else UNSET,
        day=keys.get("day", UNSET),
        requests=requests,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        total_tokens=prompt + completion,
    )


def _day(number: str | int) -> str:
    """The day so many days after the first of 1970."""
    return datetime.fromtimestamp(int(number) * (DAY_MS // 1000), UTC).date().isoformat()
