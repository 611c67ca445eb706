"""Sums: what is asked for is what comes, before and after lines are merged into days."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from usage_kit import DAY, NOW, Clock, all_of, reopened, spend, sums, who

from friendli_endpoint.errors import ConfigError, LedgerError, RequestError
from friendli_endpoint.usage import KEYS, Ledger, Query, query_of, report, stored_totals
from friendli_endpoint.usage.schema import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ["acme", "o'neill", '"; DROP TABLE requests; --', "日本 \N{PILE OF POO}", "%", "a\0b", "-", " "]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path, clock=clock)
    yield opened
    opened.close()


def test_groups_are_made_of_the_keys_in_their_order(ledger: Ledger, clock: Clock) -> None:
    for number, (team, endpoint, adapter) in enumerate(
        [("b", "demo", None), ("a", "demo", "pirate"), ("a", "demo", None), ("a", "other", None), ("a", "demo", None)]
    ):
        spend(ledger, who(number, team=team, endpoint=endpoint, adapter=adapter), (number, 0, 1))
    clock.now += DAY
    spend(ledger, who(9, team="b"), (100, 50, 7))
    by_team = ledger.totals(Query(by=("adapter", "team")))
    assert [(total.adapter, total.team, *sums(total)) for total in by_team] == [
        (None, "a", 3, 2 + 3 + 4, 0, 3),
        (None, "b", 2, 100, 50, 8),
        ("pirate", "a", 1, 1, 0, 1),
    ]
    assert [(total.day, total.requests, total.total_tokens) for total in ledger.totals(Query(by=("day",)))] == [
        ("2026-09-21", 5, 15),
        ("2026-09-22", 1, 107),
    ]


def test_from_is_included_and_to_is_not(ledger: Ledger, clock: Clock) -> None:
    start = datetime.fromtimestamp(NOW, UTC)
    spend(ledger, who(1))
    clock.now += 10
    spend(ledger, who(2))

    def requests(low: float, high: float) -> int:
        query = Query(start=start + timedelta(seconds=low), end=start + timedelta(seconds=high))
        return sum(total.requests for total in ledger.totals(query))

    assert requests(0, 10) == 1
    assert requests(0, 10.001) == 2
    assert requests(0.001, 10) == 0
    assert requests(10, 20) == 1


@pytest.mark.parametrize("name", NAMES)
def test_names_are_data_whatever_they_look_like(ledger: Ledger, name: str) -> None:
    spend(ledger, who(1, team=name, token=name, endpoint=name, adapter=name), (1, 0, 2))
    spend(ledger, who(2, team="another", endpoint="another"), (5, 5, 5))
    found = ledger.totals(Query(by=("team", "endpoint", "adapter"), team=name, endpoint=name))
    assert [(total.team, total.endpoint, total.adapter, *sums(total)) for total in found] == [
        (name, name, name, 1, 1, 0, 2)
    ]
    assert all_of(ledger)[0] == 2


def test_endpoints_that_may_not_be_looked_at_are_left_out(ledger: Ledger) -> None:
    for number, endpoint in enumerate(("one", "two", "three")):
        spend(ledger, who(number, endpoint=endpoint))
    seen = ledger.totals(Query(by=("endpoint",), endpoints=frozenset({"one", "three", "none"})))
    assert [total.endpoint for total in seen] == ["one", "three"]
    assert ledger.totals(Query(endpoints=frozenset())) == []
    assert ledger.totals(Query(endpoint="two", endpoints=frozenset({"one"}))) == []


def test_too_many_groups_are_refused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        spend(ledger, who(number, team=f"team{number}"))
    monkeypatch.setattr("friendli_endpoint.usage.totals.MOST_GROUPS", 3)
    assert len(ledger.totals(Query(by=("team",)))) == 3
    monkeypatch.setattr("friendli_endpoint.usage.totals.MOST_GROUPS", 2)
    with pytest.raises(RequestError, match="more than 2 groups") as caught:
        ledger.totals(Query(by=("team",)))
    assert caught.value.field == "by"


def spend_days(ledger: Ledger, clock: Clock, days: int) -> None:
    """Six requests a day of two teams, the last day is today."""
    for day in range(days):
        clock.now = NOW - (days - 1 - day) * DAY
        for number in range(6):
            spend(ledger, who(day * 10 + number, team="ab"[number % 2]), (day, number, number * day))


def test_rotation_keeps_all_sums_and_merges_what_is_older_than_it_should_be(
    tmp_path: Path, ledger: Ledger, clock: Clock
) -> None:
    spend_days(ledger, clock, 10)
    queries = [Query(by=KEYS), Query(by=("day",)), Query(), Query(team="a", by=("endpoint",))]
    before = [ledger.totals(query) for query in queries]
    assert ledger.rotate(keep_days=4) == 5 * 6
    assert [ledger.totals(query) for query in queries] == before
    assert line_count(tmp_path) == 5 * 6
    assert ledger.rotate(keep_days=4) == 0
    assert ledger.rotate(keep_days=1) == 3 * 6
    assert [ledger.totals(query) for query in queries] == before
    clock.now += 400 * DAY
    assert ledger.rotate(keep_days=400) == 6
    assert [ledger.totals(query) for query in queries] == before
    assert line_count(tmp_path) == 6


def test_a_line_that_comes_late_is_added_to_its_merged_day(ledger: Ledger, clock: Clock) -> None:
    spend_days(ledger, clock, 3)
    ledger.rotate(keep_days=1)
    clock.now -= 2 * DAY
    spend(ledger, who(999), (1, 1, 1))
    clock.now += 2 * DAY
    before = ledger.totals(Query(by=KEYS))
    assert ledger.rotate(keep_days=1) == 1
    assert ledger.totals(Query(by=KEYS)) == before


def test_rotation_takes_in_what_a_dead_server_left_before_it_merges(tmp_path: Path, clock: Clock) -> None:
    dead = Ledger.open(tmp_path, clock=clock)
    ledger = Ledger.open(tmp_path, clock=clock)
    entry = dead.begin(who(1))
    entry.count(prompt=1, cached=1, completion=1)
    dead.close()
    clock.now += 9 * DAY
    assert ledger.rotate(keep_days=4) == 1
    assert all_of(ledger) == (1, 1, 1, 1)
    ledger.close()
    assert reopened(tmp_path) == (1, 1, 1, 1)


def test_days_are_merged_in_pieces_also_where_many_lines_are_of_one_moment(
    tmp_path: Path, ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.usage.store._PIECE", 4)
    spend_days(ledger, clock, 5)
    for number in range(3):
        clock.now = NOW - 4 * DAY + 1 + number
        spend(ledger, who(900 + number))
    clock.now = NOW
    before = ledger.totals(Query(by=KEYS))
    assert ledger.rotate(keep_days=1) == 3 * 6 + 3
    assert ledger.totals(Query(by=KEYS)) == before
    assert line_count(tmp_path) == 2 * 6


def test_requests_are_written_while_days_are_merged(tmp_path: Path, ledger: Ledger, clock: Clock) -> None:
    spend_days(ledger, clock, 5)
    merge_piece, pieces = ledger._store._merge_piece, []

    def and_then_spend(before: float) -> int:
        pieces.append(merge_piece(before))
        spend(ledger, who(900 + len(pieces)))
        return pieces[-1]

    ledger._store._merge_piece = and_then_spend
    assert ledger.rotate(keep_days=1) == sum(pieces) == 3 * 6
    assert line_count(tmp_path) == 2 * 6 + len(pieces)


def test_the_log_of_the_database_stays_bounded(tmp_path: Path, ledger: Ledger) -> None:
    for number in range(1500):
        ledger.begin(who(number)).abandon("finished")
        if number % 5 == 0:
            spend(ledger, who(10_000 + number))
    spend(ledger, who(20_000))  # once it is written, so are all before it
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size < 5 * 2**20
    assert all_of(ledger)[0] == 1500 + 300 + 1


def test_a_database_that_is_gone_wrong_is_told_as_the_ledgers_fault(ledger: Ledger, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("DROP VIEW usage")
    connection.close()
    with pytest.raises(LedgerError, match="cannot be used now: no such table"):
        ledger.totals(Query())


def test_a_folder_is_read_beside_a_server_and_without_one(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    spend(ledger, who(1), (3, 2, 1))
    assert [sums(total) for total in stored_totals(tmp_path, Query())] == [(1, 3, 2, 1)]
    ledger.close()
    assert [sums(total) for total in stored_totals(tmp_path, Query())] == [(1, 3, 2, 1)]


def test_a_folder_without_a_ledger_is_told_and_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no usage ledger"):
        stored_totals(tmp_path, Query())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE_NAME).write_bytes(b"x" * 5000)
    with pytest.raises(ConfigError, match="not a database"):
        stored_totals(tmp_path, Query())


def test_parameters_become_a_query() -> None:
    asked = {"from": "2026-11-01", "to": "2026-12-01T01:00+01:00", "by": "day, team", "team": "acme", "endpoint": "x"}
    assert query_of(asked.items()) == Query(
        start=datetime(2026, 11, 1, tzinfo=UTC),
        end=datetime(2026, 12, 1, tzinfo=UTC),
        by=("day", "team"),
        team="acme",
        endpoint="x",
    )
    assert query_of([]) == Query()
    assert query_of([("by", "")]) == Query()


WRONG = {
    "unknown": ([("until", "2026-01-01")], "until"),
    "long": ([("x" * 500, "1")], "x" * 100),
    "twice": ([("team", "a"), ("team", "b")], "team"),
    "no day": ([("from", "yesterday")], "from"),
    "empty": ([("from", "")], "from"),
    "no such day": ([("to", "2026-02-30")], "to"),
    "before time": ([("to", "0001-01-01T00:00+14:00")], "to"),
    "backwards": ([("from", "2026-02-02"), ("to", "2026-02-01")], "to"),
    "nothing between": ([("from", "2026-02-02"), ("to", "2026-02-02")], "to"),
    "key": ([("by", "team,tokens")], "by"),
    "key twice": ([("by", "team,team")], "by"),
    "comma": ([("by", "team,")], "by"),
    "no team": ([("team", "")], "team"),
    "no endpoint": ([("endpoint", "")], "endpoint"),
}


@pytest.mark.parametrize(("parameters", "field"), WRONG.values(), ids=WRONG)
def test_a_wrong_parameter_is_named(parameters: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        query_of(parameters)
    assert (caught.value.field, caught.value.status) == (field, 422)
    assert field in str(caught.value)


def test_a_report_has_the_sum_of_its_groups(ledger: Ledger) -> None:
    for number, team in enumerate("aab"):
        spend(ledger, who(number, team=team), (number, 1, 2))
    query = Query(by=("team",), start=datetime(2026, 9, 1, tzinfo=UTC))
    told = report(query, ledger.totals(query))
    assert (told.start, told.end) == ("2026-09-01T00:00:00Z", None)
    assert [total.requests for total in told.data] == [2, 1]
    assert (*sums(told.total), told.total.total_tokens) == (3, 3, 3, 6, 9)


def line_count(folder: Path) -> int:
    connection = sqlite3.connect(folder / FILE_NAME)
    ((count,),) = connection.execute("SELECT count(*) FROM requests")
    connection.close()
    return int(count)
