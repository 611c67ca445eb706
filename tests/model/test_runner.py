"""The step model's contract, on a small model: what comes back, and that company changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from step_driver import Driver, Row

from friendli_endpoint.engine.step_model import Batch
from friendli_endpoint.model import ModelOptions, load
from random_model import write_folder

if TYPE_CHECKING:
    from friendli_endpoint.engine.step_model import StepModel

COUNT = 6


@pytest.fixture(scope="module", params=["i8", "f16"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StepModel:
    folder = write_folder(tmp_path_factory.mktemp("model") / "little-llama")
    return load(folder, ModelOptions(weights=request.param, kv_tokens=4001))


@pytest.fixture
def driver(model: StepModel) -> Driver:
    return Driver(model)


def prompts(count: int) -> list[list[int]]:
    rng = np.random.default_rng(count)
    return [rng.integers(0, 256, rng.integers(2, 70)).tolist() for _ in range(count)]


def test_the_card_tells_the_sizes(model: StepModel) -> None:
    card = model.card
    assert (card.name, card.architecture, card.vocab_size, card.context_length) == ("little-llama", "llama", 256, 256)
    assert (card.block_size, card.kv_blocks) == (32, 126)  # 4001 tokens take 125 blocks and a bit
    assert card.weights in {"i8", "f16"}


def test_without_an_option_there_is_room_for_at_least_one_context(tmp_path_factory: pytest.TempPathFactory) -> None:
    card = load(write_folder(tmp_path_factory.mktemp("m"))).card
    assert card.context_length <= card.kv_blocks * card.block_size <= 32 * card.context_length


def test_logits_are_float32_and_belong_to_the_caller(driver: Driver) -> None:
    logits = driver.model.forward(batch([5, 6, 7], sampled=[2, 0]))
    assert logits.dtype == np.float32
    assert logits.shape == (2, 256)
    logits += 1


def batch(tokens: list[int], sampled: list[int]) -> Batch:
    return Batch(
        tokens=np.array(tokens, np.int64),
        past_lens=np.array([0], np.int32),
        row_begins=np.array([0, len(tokens)], np.int32),
        blocks=np.array([3], np.int32),
        block_begins=np.array([0, 1], np.int32),
        sampled=np.array(sampled, np.int64),
    )


def test_a_chunk_in_the_middle_of_a_prompt_samples_nothing(driver: Driver) -> None:
    assert driver.model.forward(batch([5, 6, 7], sampled=[])).shape == (0, 256)


@pytest.mark.parametrize("sampled", [[2], [1, 2], [0, 1, 2], [2, 2]])
def test_which_rows_are_sampled_changes_no_row(driver: Driver, sampled: list[int]) -> None:
    every = driver.model.forward(batch([5, 6, 7], sampled=[0, 1, 2])).copy()
    assert np.array_equal(driver.model.forward(batch([5, 6, 7], sampled=sampled)), every[sampled])


def test_a_prompt_of_a_single_token_is_the_same_alone_and_in_company(driver: Driver) -> None:
    alone = driver.step([Row()], [[9]])
    assert np.array_equal(alone[0], driver.step([Row(), Row()], [[9], [1, 2, 3]])[0])


@pytest.mark.parametrize("company", [2, 3, 5, 8, 17, 32])
def test_logits_in_company_are_those_alone_bit_for_bit(driver: Driver, company: int) -> None:
    _, together = driver.generate(prompts(company), COUNT)
    for prompt, seen in zip(prompts(company), together, strict=True):
        _, (alone,) = driver.generate([prompt], COUNT)
        assert np.array_equal(seen, alone)


@pytest.mark.parametrize("chunk", [7, 10, 16])
def test_a_prompt_in_chunks_beside_others_is_the_prompt_alone_bit_for_bit(driver: Driver, chunk: int) -> None:
    prompt = prompts(1)[0][:1] + list(range(40, 40 + 4 * chunk))
    _, (alone,) = driver.generate([prompt], 1)
    others = [Row() for _ in range(4)]
    driver.step(others, prompts(4))
    row = Row()
    for begin in range(0, len(prompt), chunk):
        piece = prompt[begin : begin + chunk] if len(prompt) - begin - chunk != 1 else prompt[begin:]
        logits = driver.step([*others, row], [[1], [2], [3], [4], piece])[-1]
        if row.past == len(prompt):
            break
    assert np.array_equal(logits, alone[0])


def test_a_sequence_goes_on_from_copied_blocks_bit_for_bit(driver: Driver) -> None:
    prompt = list(range(1, 45))
    source = Row()
    driver.step([source], [prompt])
    copy = Row(source.past, [driver.free.pop() for _ in source.blocks])
    driver.model.copy_blocks(list(zip(source.blocks, copy.blocks, strict=True)))
    first = driver.step([source], [[7]])
    assert np.array_equal(driver.step([copy], [[7]]), first)
    assert not np.array_equal(driver.step([copy], [[8]]), driver.step([source], [[9]]))


def test_a_dummy_row_touches_no_block_of_a_caller(driver: Driver) -> None:
    rows = [Row(blocks=[block]) for block in (0, driver.model.card.kv_blocks - 1)]
    driver.step(rows, [[1, 2, 3], [4, 5, 6]])
    before = driver.step(rows, [[7], [8]])
    for row in rows:
        row.past -= 1
    driver.step([Row(blocks=[5])], [[11]])
    assert np.array_equal(driver.step(rows, [[7], [8]]), before)
