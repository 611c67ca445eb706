"""The same clients on the real model: what they send unasked changes nothing of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clients_answers import body_for, check
from clients_kit import reached

from end_to_end.serving_kit import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clients_kit import Caller, Place

pytestmark = [pytest.mark.real, pytest.mark.reference]

CASES: dict[str, dict[str, object]] = {
    "the distribution as it is": {"n": 2},
    "a narrower one, to a stop phrase": {
        "temperature": 0.8,
        "top_p": 0.9,
        "presence_penalty": 0.2,
        "stop": [" a", "."],
    },
}


@pytest.fixture(scope="session")
def real_place(default_model: Path) -> Iterator[Place]:
    served = serve(default_model)
    try:
        with reached(served.url, "flp_any") as place:
            yield place
    finally:
        served.process.terminate()
        served.process.communicate(timeout=60)


@pytest.mark.parametrize("way", ["complete", "stream_async"])
@pytest.mark.parametrize("fields", CASES.values(), ids=CASES.keys())
def test_a_call_gives_what_a_plain_request_gives_of_the_real_model(
    caller: Caller, way: str, real_place: Place, fields: dict
) -> None:
    check(caller, way, real_place, body_for(caller.client, prompt="Once upon a time", max_tokens=16, **fields))
