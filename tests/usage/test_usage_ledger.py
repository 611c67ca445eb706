"""The ledger: requests in, sums out, whatever fails in between."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING

import pytest
import uvloop
from usage_kit import Clock, all_of, reopened, spend, sums, who

from friendli_endpoint.errors import ConfigError, EndpointError, LedgerError, RequestError
from friendli_endpoint.usage import Ledger, Outcome, Query
from friendli_endpoint.usage.journal import Journal
from friendli_endpoint.usage.schema import FILE_NAME
from friendli_endpoint.usage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from friendli_endpoint.usage.records import Line


@pytest.mark.parametrize("kept", [True, False], ids=["in a folder", "in memory"])
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_closed_is_in_the_sums_at_once(
    tmp_path: Path, kept: bool, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    ledger = Ledger.open(tmp_path if kept else None)

    async def main() -> None:
        entry = ledger.begin(who(1))
        entry.count(prompt=10, cached=4, completion=1)
        entry.count(prompt=10, cached=4, completion=6)
        assert all_of(ledger) == (0, 0, 0, 0)
        await entry.close("finished")
        assert all_of(ledger) == (1, 10, 4, 6)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    ledger.close()


def test_a_second_end_and_later_counts_change_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        ledger = Ledger.open(tmp_path)
        entry = ledger.begin(who(1))
        entry.count(prompt=3, cached=0, completion=2)
        await entry.close("finished")
        other = ledger.begin(who(2))
        entry.count(prompt=9, cached=9, completion=9)
        entry.abandon("left")
        await entry.close("failed")
        await other.close("finished")
        assert all_of(ledger) == (2, 3, 0, 2)
        ledger.close()

    asyncio.run(main())


@pytest.mark.parametrize("outcome", ["finished", "left", "failed", "timeout"])
def test_an_abandoned_request_is_written_without_being_waited_for(tmp_path: Path, outcome: Outcome) -> None:
    ledger = Ledger.open(tmp_path)
    entry = ledger.begin(who(1))
    entry.count(prompt=3, cached=1, completion=2)
    entry.abandon(outcome)
    ledger.close()
    assert outcomes(tmp_path) == [outcome]
    assert reopened(tmp_path) == (1, 3, 1, 2)


def test_what_runs_when_the_ledger_is_closed_is_interrupted_and_its_end_hangs_on_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        ledger = Ledger.open(tmp_path)
        entry = ledger.begin(who(1))
        entry.count(prompt=3, cached=1, completion=2)
        ledger.close()
        ledger.close()
        entry.count(prompt=3, cached=1, completion=8)
        await entry.close("finished")
        with pytest.raises(LedgerError, match="closed"):
            ledger.begin(who(2))

    asyncio.run(main())
    assert reopened(tmp_path)[0] == 1
    assert outcomes(tmp_path) == ["interrupted"]


def test_a_waiter_that_is_cancelled_leaves_its_request_in_the_ledger(tmp_path: Path) -> None:
    async def main() -> None:
        ledger = Ledger.open(tmp_path)
        closing = asyncio.create_task(ledger.begin(who(1)).close("finished"))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        ledger.close()

    asyncio.run(main())
    assert reopened(tmp_path)[0] == 1


def test_requests_that_end_together_are_written_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    started, go_on, add = threading.Event(), threading.Event(), Store.add

    def slow_add(store: Store, lines: Sequence[Line]) -> None:
        groups.append(len(lines))
        started.set()
        assert go_on.wait(30)
        add(store, lines)

    monkeypatch.setattr(Store, "add", slow_add)

    async def main() -> None:
        ledger = Ledger.open(tmp_path)
        first = asyncio.create_task(ledger.begin(who(0)).close("finished"))
        await asyncio.to_thread(started.wait)
        others = [asyncio.create_task(ledger.begin(who(1 + each)).close("finished")) for each in range(100)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, *others)
        ledger.close()

    asyncio.run(main())
    assert groups == [1, 100]
    assert reopened(tmp_path)[0] == 101


def test_a_running_servers_requests_are_left_alone_by_another_one(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path)
    entry = one.begin(who(1))
    other = Ledger.open(tmp_path)
    spend(other, who(2))
    other.rotate(400)
    assert all_of(other)[0] == all_of(one)[0] == 1
    entry.abandon("left")
    one.close()
    assert all_of(other)[0] == 2
    other.close()


def test_sums_are_read_while_requests_are_written(tmp_path: Path) -> None:
    async def main() -> None:
        ledger = Ledger.open(tmp_path)

        async def one(number: int) -> None:
            entry = ledger.begin(who(number))
            entry.count(prompt=2, cached=1, completion=3)
            await entry.close("finished")

        async def read() -> None:
            requests, *tokens = await asyncio.to_thread(all_of, ledger)
            assert tokens == [2 * requests, requests, 3 * requests]

        await asyncio.gather(*(one(each) for each in range(300)), *(read() for _ in range(30)))
        ledger.close()

    asyncio.run(main())
    assert reopened(tmp_path) == (300, 600, 300, 900)


def test_the_folder_and_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    ledger = Ledger.open(folder)
    spend(ledger, who(1))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == {".db": 0o600, ".db-wal": 0o600, ".db-shm": 0o600, ".journal": 0o600}
    ledger.close()
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def failing(message: str) -> Callable[[Sequence[Line]], None]:
    def write(_: Sequence[Line]) -> None:
        raise sqlite3.OperationalError(message)

    return write


def test_a_full_disk_holds_no_answer_up_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger.open(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(ledger._writer, "_write", failing("database or disk is full"))
        spend(ledger, who(1))
        spend(ledger, who(2), outcome="timeout")
        ledger.close()
    assert ledger.unwritten == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2  # at first, and at the end
    assert "database or disk is full" in caplog.text
    assert reopened(tmp_path)[0] == 2
    assert sorted(outcomes(tmp_path)) == ["finished", "timeout"]


def test_what_could_not_be_written_is_written_with_the_next_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(ledger._writer, "_write", failing("disk I/O error"))
        spend(ledger, who(1))
    assert ledger.unwritten == 1
    spend(ledger, who(2))
    ledger.close()
    assert ledger.unwritten == 0
    assert list(tmp_path.glob("*.journal")) == []
    assert reopened(tmp_path)[0] == 2


def test_what_could_not_be_written_is_tried_again_when_nothing_else_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.usage.writer._RETRY_SECONDS", 0.001)
    tried, add = [], Store.add

    def fails_twice(store: Store, lines: Sequence[Line]) -> None:
        tried.append(len(lines))
        if len(tried) < 3:
            raise sqlite3.OperationalError("disk I/O error")
        add(store, lines)
        written.set()

    written = threading.Event()
    monkeypatch.setattr(Store, "add", fails_twice)
    ledger = Ledger.open(tmp_path)
    spend(ledger, who(1))
    assert written.wait(30)
    ledger.close()
    assert tried == [1, 1, 1]
    assert reopened(tmp_path)[0] == 1


def test_a_journal_grows_and_is_full_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("friendli_endpoint.usage.journal._MOST_SEGMENTS", 2)
    ledger = Ledger.open(tmp_path)
    entries = [ledger.begin(who(each)) for each in range(2 * 1023)]
    assert len(list(tmp_path.glob("*.journal"))) == 2
    with pytest.raises(LedgerError, match="No more usage can be kept"):
        ledger.begin(who(5000))
    entries.pop().abandon("left")
    ledger.close()
    assert reopened(tmp_path)[0] == 2 * 1023


def test_a_disk_without_room_for_the_journal_refuses_the_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path)
    for _ in range(1023):
        journal.take()
    monkeypatch.setattr("os.posix_fallocate", no_room)
    with pytest.raises(LedgerError, match="No space left on device"):
        journal.take()
    journal.close()
    with pytest.raises(ConfigError, match="No space left on device"):
        Ledger.open(tmp_path / "other")
    assert list(tmp_path.glob("**/*.draft")) == []


def test_names_that_do_not_fit_are_refused_and_take_no_place(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    for _ in range(2000):
        with pytest.raises(RequestError, match="too long"):
            ledger.begin(who(1, team="x" * 1000))
    ledger.close()
    assert reopened(tmp_path)[0] == 0


def test_what_a_file_or_folder_cannot_be_used_for_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file"):
        Ledger.open(tmp_path / "file")
    (tmp_path / FILE_NAME).write_text("no database, but long enough to be read as one" * 100)
    with pytest.raises(ConfigError, match="not a database"):
        Ledger.open(tmp_path)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(ConfigError, match="is of version 2, this friendli knows 1"):
        Ledger.open(tmp_path)


def test_a_journal_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    journal = tmp_path / "usage-0.journal"
    journal.write_bytes(b"friendli usage journal 2\n".ljust(2**20, b"\0"))
    with pytest.raises(EndpointError, match="newer version"):
        Ledger.open(tmp_path)
    assert journal.exists()


def test_a_damaged_place_of_a_journal_is_logged_and_the_others_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger.open(tmp_path)
    for number in range(3):
        ledger.begin(who(number))
    ledger.close()
    (journal,) = tmp_path.glob("*.journal")
    content = bytearray(journal.read_bytes())
    content[2 * 1024 + 100] ^= 1
    journal.write_bytes(content)
    assert reopened(tmp_path)[0] == 2
    assert "damaged at byte 2048" in caplog.text
    assert list(tmp_path.glob("*.journal")) == []


def test_a_draft_that_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "usage-0.draft").touch()
    Ledger.open(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_ledger_in_memory_has_the_sums_of_days_and_leaves_nothing(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger.open(None, clock=clock)
    for number in range(3):
        spend(ledger, who(number))
        clock.now += 86_400
    by_day = ledger.totals(Query(by=("day",)))
    assert [total.day for total in by_day] == ["2026-09-21", "2026-09-22", "2026-09-23"]
    assert [sums(total) for total in by_day] == [(1, 10, 4, 5)] * 3
    ledger.close()


def outcomes(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / FILE_NAME)
    found = [outcome for (outcome,) in connection.execute("SELECT outcome FROM requests")]
    connection.close()
    return found
