"""A program of its own that serves with tokens lets in whom the rules let in; all cases are in test_auth_matrix.py."""

from __future__ import annotations

from bench.endurance import doors


def test_a_server_lets_in_whom_the_rules_let_in() -> None:
    for row in doors.measure(quick=True):
        assert row.held, row.got
