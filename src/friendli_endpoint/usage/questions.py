"""From the parameters of a question, as text, to a query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import RequestError
from friendli_endpoint.usage.records import KEYS, Key, Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARAMETERS: Final = ("from", "to", "by", "team", "endpoint")


def query_of(parameters: Iterable[tuple[str, str]]) -> Query:
    """The query that they ask for. Raises `RequestError` with the parameter at fault as its field."""
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in PARAMETERS:
            field = name[:100]
            raise RequestError(f"{field!r} is not a parameter; there are {', '.join(PARAMETERS)}.", field=field)
        if name in given:
            raise RequestError(f"{name} is given twice; give it once.", field=name)
        given[name] = value
    query = Query(
        start=_moment("from", given),
        end=_moment("to", given),
        by=tuple(_keys(given.get("by", ""))),
        team=_name("team", given),
        endpoint=_name("endpoint", given),
    )
    if query.start and query.end and query.start >= query.end:
        raise RequestError("to should be later than from; it is not included itself.", field="to")
    return query


def _moment(name: str, given: dict[str, str]) -> datetime | None:
    if name not in given:
        return None
    try:
        moment = datetime.fromisoformat(given[name])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        example = "a day, 2026-11-01, or a moment, 2026-11-01T12:00:00Z"
        raise RequestError(f"{name} should be {example}.", field=name) from error


def _keys(text: str) -> Iterator[Key]:
    asked = [part.strip() for part in text.split(",")] if text else []
    for key in KEYS:
        if key in asked:
            asked.remove(key)
    if asked:
        raise RequestError(f"by should name some of {', '.join(KEYS)}, each once, with commas between.", field="by")
    yield from (key for part in text.split(",") for key in KEYS if key == part.strip())


def _name(name: str, given: dict[str, str]) -> str | None:
    if given.get(name) == "":
        raise RequestError(f"{name} should be the name of one; leave it out for all.", field=name)
    return given.get(name)
