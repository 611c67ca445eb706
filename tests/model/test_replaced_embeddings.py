"""Vectors that stand in for tokens: in the graph, bit for bit what the token that has this embedding gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from step_driver import Driver, Row

from friendli_endpoint.engine.fake_model import FakeStepModel, context_logits, stand_in
from friendli_endpoint.model import ModelOptions, load
from random_model import CONFIG, weights, write_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROMPT = list(range(1, 21))
OTHER = list(range(30, 73))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    folder = write_folder(tmp_path_factory.mktemp("model"))
    return Driver(load(folder, ModelOptions(weights="f16", kv_tokens=2048)))


@pytest.fixture(scope="module")
def table() -> NDArray[np.float32]:
    """The embedding of every token."""
    return weights(CONFIG)["model.embed_tokens.weight"]


@pytest.mark.parametrize("places", [[0], [19], [3, 4, 11], list(range(20))])
def test_a_replaced_token_is_the_token_that_has_this_embedding(
    driver: Driver, table: NDArray[np.float32], places: list[int]
) -> None:
    meant = [token + 100 if place in places else token for place, token in enumerate(PROMPT)]
    rows = Row(), Row()
    expected = driver.step([rows[0]], [meant], every=True)
    replaced = {place: table[meant[place]] for place in reversed(places)}
    assert np.array_equal(driver.step([rows[1]], [PROMPT], every=True, replaced=replaced), expected)
    assert np.array_equal(driver.step([rows[1]], [[7]]), driver.step([rows[0]], [[7]])), "and it is what KV holds"


def test_it_touches_no_other_row_and_no_later_step(driver: Driver, table: NDArray[np.float32]) -> None:
    rows = [Row() for _ in range(3)]
    alone = [driver.step([Row()], [OTHER]), driver.step([Row()], [[*PROMPT[:5], 200, *PROMPT[6:]]])]
    together = driver.step(rows[:2], [OTHER, PROMPT], replaced={len(OTHER) + 5: table[200]})
    assert np.array_equal(together, np.concatenate(alone))
    assert np.array_equal(driver.step([rows[2]], [PROMPT]), driver.step([Row()], [PROMPT]))


def test_a_prompt_of_one_replaced_token_is_computed_beside_its_dummy(
    driver: Driver, table: NDArray[np.float32]
) -> None:
    assert np.array_equal(driver.step([Row()], [[9]], replaced={0: table[70]}), driver.step([Row()], [[70]]))


def test_a_vector_of_no_token_counts_too(driver: Driver, table: NDArray[np.float32]) -> None:
    """The first layer's norm takes a vector's length out, but the sum of the layers keeps it."""
    scaled = [driver.step([Row()], [PROMPT], replaced={19: factor * table[20]}) for factor in (1.0, 3.0)]
    assert np.array_equal(scaled[0], driver.step([Row()], [PROMPT]))
    assert np.abs(scaled[1] - scaled[0]).max() > 0.01


def test_the_model_for_tests_remembers_what_replaced_a_token() -> None:
    driver, row = Driver(FakeStepModel()), Row()
    vector = np.array([0.5, -2.0], np.float32)
    seen = [driver.step([row], [[4, 5, 6]], replaced={1: vector})[0], driver.step([row], [[7]])[0]]
    for context, logits in zip(([4, stand_in(vector), 6], [4, stand_in(vector), 6, 7]), seen, strict=True):
        assert np.array_equal(logits, context_logits(np.array(context)).astype(np.float32))
    assert stand_in(vector) != stand_in(-vector)
