"""Whoever leaves, at whatever stage, leaves nothing behind, in a short form."""

from __future__ import annotations

from bench.endurance import leaving


def test_nothing_is_left_of_clients_that_leave_at_any_stage() -> None:
    rows = list(leaving.measure(quick=True))
    assert len(rows) == 8
    assert all(row.held for row in rows), rows
