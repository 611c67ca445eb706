"""A server that is told to stop under load answers what it has let in, and leaves nothing behind."""

from __future__ import annotations

import httpx2
import pytest
from bench.endurance import draining
from bench.endurance.draining_kit import Fate, fate_of


def test_what_the_fake_engine_has_let_in_is_answered_before_the_server_ends() -> None:
    for row in draining.on_fake_engine(quick=True):
        assert row.held, f"{row.what}: {row.got}"


@pytest.mark.real
@pytest.mark.usefixtures("default_model")
def test_what_the_real_model_has_let_in_is_answered_before_the_server_ends() -> None:
    for row in draining.on_real_model(quick=True):
        assert row.held, f"{row.what}: {row.got}"


ENDED = 'data: {"choices":[{"index":0,"text":"a","token":5,"finish_reason":"length"}]}\n\n'


@pytest.mark.parametrize(
    ("status", "stream", "text", "lost"),
    [
        (200, True, ENDED + "data: [DONE]\n\n", False),
        (200, True, ENDED, True),
        (200, True, "data: [DONE]\n\n", True),
        (200, False, '{"choices":[{"text":"a","tokens":[5],"finish_reason":"stop"}]}', False),
        (503, False, "{}", True),
        (500, True, "{}", True),
    ],
)
def test_an_answer_is_lost_unless_it_is_whole(status: int, stream: bool, text: str, lost: bool) -> None:
    fate = fate_of(httpx2.Response(status, text=text), {"stream": stream})
    assert (fate.trouble is not None) is lost
    assert lost or fate == Fate(tokens=1)


def test_a_refusal_has_to_say_when_to_come_back() -> None:
    assert fate_of(httpx2.Response(503, headers={"Retry-After": "5"}), {"stream": True}) == Fate(refused=True)
