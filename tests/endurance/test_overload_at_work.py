"""A server under three times its load goes on working, in a short form."""

from __future__ import annotations

from bench.endurance import overload


def test_what_is_let_in_ends_and_the_rest_is_refused_with_a_time_to_come_back() -> None:
    rows = list(overload.measure(quick=True))
    assert len(rows) == 5
    assert all(row.held for row in rows), rows
