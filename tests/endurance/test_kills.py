"""Streams outlive their engine, on the real model; and a request that ends the engine does not take others along."""

from __future__ import annotations

import pytest
from bench.endurance import kills, poison


@pytest.mark.real
@pytest.mark.usefixtures("default_model")
def test_streams_bring_the_same_tokens_when_their_engine_is_killed_and_when_it_hangs() -> None:
    for row in kills.under_streams(quick=True):
        assert row.held, f"{row.what}: {row.got}"


def test_a_poison_is_refused_and_the_streams_beside_it_get_their_tokens_exactly() -> None:
    for row in poison.measure(quick=True):
        assert row.held, f"{row.what}: {row.got}"
