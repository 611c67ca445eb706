"""What is remembered of requests that have ended the engine, and for how long."""

import pytest
from engine_helpers import request

from friendli_endpoint.engine.quarantine import QUARANTINE_SECONDS, Quarantine
from friendli_endpoint.engine.vocabulary import Beams, Controls, Embeddings


def test_the_same_question_is_held_whoever_asks_it_and_with_whatever_seed():
    quarantine = Quarantine()
    quarantine.add(request("a", [1, 2], seeds=(1,), generated=((5,),)))
    assert quarantine.holds(request("b", [1, 2], seeds=(9, 10), scope="another team"))


@pytest.mark.parametrize(
    "other",
    [
        {"max_tokens": 9},
        {"controls": Controls(top_k=3)},
        {"eos_tokens": (3,)},
        {"adapter": "pirate"},
        {"beams": Beams(2)},
        {"embeddings": Embeddings((0,), b"12345678")},
    ],
)
def test_another_question_is_let_through(other):
    quarantine = Quarantine()
    quarantine.add(request("a", [1, 2]))
    assert not quarantine.holds(request("b", [1, 3]))
    assert not quarantine.holds(request("b", [1, 2], **other))


def test_it_is_forgotten_with_time_and_remembered_longer_when_added_again():
    now = 0.0
    quarantine = Quarantine(lambda: now)
    quarantine.add(request("a", [1]))
    quarantine.add(request("b", [2]))
    now = QUARANTINE_SECONDS - 1
    quarantine.add(request("a", [1]))
    now = QUARANTINE_SECONDS
    assert quarantine.holds(request("a", [1]))
    assert not quarantine.holds(request("b", [2]))
    now = 2 * QUARANTINE_SECONDS
    assert not quarantine.holds(request("a", [1]))


def test_the_oldest_of_many_is_forgotten():
    quarantine = Quarantine()
    for token in range(257):
        quarantine.add(request("a", [token]))
    assert not quarantine.holds(request("a", [0]))
    assert all(quarantine.holds(request("a", [token])) for token in range(1, 257))
