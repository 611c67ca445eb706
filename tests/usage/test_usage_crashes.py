"""A server that is killed, wherever it is just then, leaves each of its requests in the ledger once."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from usage_kit import reopened

from friendli_endpoint.usage.schema import FILE_NAME

KILLS = 104
HERE = Path(__file__).parent


class Told:
    """What servers had said before they were killed: the tokens of each request, and which were delivered whole."""

    def __init__(self, lines: list[str]) -> None:
        said = [line.split() for line in lines]
        self.used = {int(number): int(completion) for _, number, completion in said}
        self.whole = {int(number) for kind, number, _ in said if kind == "d"}


def lines_in(folder: Path) -> dict[int, tuple[str, int, int, int]]:
    """Outcome and counts of each request."""
    connection = sqlite3.connect(folder / FILE_NAME)
    found = connection.execute("SELECT request_id, outcome, prompt, cached, completion FROM requests").fetchall()
    connection.close()
    return {int(number, 16): (outcome, *counts) for number, outcome, *counts in found}


def test_servers_killed_at_a_hundred_random_moments_have_counted_what_they_delivered(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "spend_and_tell.py"), str(tmp_path), str(KILLS)]
    told = Told(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines())
    totals, lines = reopened(tmp_path), lines_in(tmp_path)
    assert len(told.whole) > KILLS
    assert told.used.keys() <= lines.keys()
    for number, line in lines.items():
        check(number, line, told)
    assert totals == (len(lines), *(sum(line[kind] for line in lines.values()) for kind in (1, 2, 3)))


def check(number: int, line: tuple[str, int, int, int], told: Told) -> None:
    """The line of a request that told of itself as `spend_and_tell.py` does: exact if delivered, else a batch ahead."""
    steps = [count * (count + 1) // 2 for count in range(2 + number % 5)]
    if number in told.whole:
        assert line == ("finished", number, number // 2, steps[-1])
        return
    at = steps.index(told.used.get(number, 0))
    possible = [(number, number // 2, step) if step else (0, 0, 0) for step in steps[at : at + 2]]
    assert line[1:] in possible


STEPS = {
    "before it is in the journal": ("Slot", "begin", "before", None),
    "when it has begun": ("Slot", "begin", "after", (0, 0, 0)),
    "before it is counted": ("Slot", "count", "before", (0, 0, 0)),
    "when it is counted": ("Slot", "count", "after", (7, 2, 3)),
    "before the commit": ("Store", "add", "before", (7, 2, 3)),
    "after the commit": ("Store", "add", "after", (7, 2, 3)),
    "before the slot is free": ("Slot", "clear", "before", (7, 2, 3)),
    "when the slot is free": ("Slot", "clear", "after", (7, 2, 3)),
}


@pytest.mark.parametrize(("owner", "step", "when", "counts"), STEPS.values(), ids=STEPS)
def test_a_request_is_counted_once_wherever_its_server_is_killed(
    tmp_path: Path, owner: str, step: str, when: str, counts: tuple[int, int, int] | None
) -> None:
    command = [sys.executable, str(HERE / "spend_and_die.py"), str(tmp_path), owner, step, when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    expected = (0, 0, 0, 0) if counts is None else (1, *counts)
    assert reopened(tmp_path) == expected
    assert reopened(tmp_path) == expected
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
