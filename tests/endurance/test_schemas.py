"""Whatever schemathesis makes of the description, the server answers as that says."""

from __future__ import annotations

from bench.endurance import schemas


def test_every_operation_answers_as_described_whatever_it_is_asked() -> None:
    for row in schemas.measure(quick=True):
        assert row.held, row.got
