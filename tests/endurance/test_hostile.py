"""Bad inputs are answered clearly, and disturb nobody who is served beside them."""

from __future__ import annotations

import pytest
from bench.endurance import hostile
from bench.endurance.auth_model import ROUTES

from friendli.models import CompletionsBody


@pytest.mark.real
@pytest.mark.usefixtures("default_model")
def test_bad_inputs_are_answered_clearly_and_change_nothing_beside_them() -> None:
    for row in hostile.measure(quick=True):
        assert row.held, f"{row.what}: {row.got}"


def test_there_are_enough_bad_inputs_and_they_reach_every_field_and_route() -> None:
    inputs = hostile.inputs()
    assert len(inputs) == len({each.request for each in inputs}) >= hostile.LEAST
    sent = b"\n".join(each.request for each in inputs if len(each.request) < 2_000).decode("latin-1")
    assert [field for field in CompletionsBody.model_fields if f'"{field}":' not in sent] == []
    assert [path for path in ROUTES if f" {path.format(endpoint_id='demo', route='x')} HTTP" not in sent] == []
