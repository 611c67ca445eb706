"""The ledger equals what was delivered although the server is killed, in a short form."""

from __future__ import annotations

from bench.endurance import ledger


def test_what_was_delivered_is_in_the_ledger_once_although_the_server_is_killed() -> None:
    rows = list(ledger.measure(quick=True))
    assert len(rows) == 5
    assert all(row.held for row in rows), rows
