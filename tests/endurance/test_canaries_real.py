"""A real server tells nobody what was sent to it, whatever is sent and however its engine ends."""

from __future__ import annotations

import pytest
from bench.endurance import canaries


@pytest.mark.real
@pytest.mark.usefixtures("default_model")
def test_no_canary_is_told_by_a_real_server_whose_engine_dies() -> None:
    for row in canaries.measure(quick=True):
        assert row.held, row.got
