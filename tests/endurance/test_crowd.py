"""A crowd that holds on to connections takes nothing from honest clients, in a short form."""

from __future__ import annotations

from bench.endurance import crowd


def test_honest_clients_are_answered_beside_a_crowd_that_is_sent_away() -> None:
    rows = list(crowd.measure(quick=True))
    assert len(rows) == 5
    assert all(row.held for row in rows), rows
