"""Adapters in the graph, on a small model: each row gets its own, and nothing else of a row depends on them."""

from __future__ import annotations

import shutil
from threading import Thread
from threading import enumerate as threads
from typing import TYPE_CHECKING

import numpy as np
import pytest
from step_driver import Driver, Row

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model import ModelOptions, load
from friendli_endpoint.model.adapters import library
from friendli_endpoint.model.adapters.spool import Spool
from random_adapter import ALL, matrices, write_peft
from random_model import CONFIG, weights, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COUNT = 8
SPREAD = 1 / 16
MANY = [(["q"], 4), (["k", "v"], 8), (["o"], 3), (["gate"], 12), (["up", "down"], 8), (list(ALL), 8), (list(ALL), 24)]
Make = "Callable[..., Driver]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("model") / "little-llama")


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Adapters of different targets and ranks."""
    root = tmp_path_factory.mktemp("adapters")
    return [
        write_peft(root / f"{i}", rank=rank, targets=targets, seed=i, spread=SPREAD)
        for i, (targets, rank) in enumerate(MANY)
    ]


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Make:
    """A driver of a model with room for so many adapters in memory; its spool is `tmp_path`."""
    return lambda slots=16, mode="i8": Driver(
        load(folder, ModelOptions(weights=mode, kv_tokens=4096, adapters=slots, spool=tmp_path))
    )


def prompts(count: int) -> list[list[int]]:
    rng = np.random.default_rng(count)
    return [rng.integers(0, 256, rng.integers(2, 70)).tolist() for _ in range(count)]


def add_all(driver: Driver, adapters: list[Path]) -> list[str]:
    for i, path in enumerate(adapters):
        driver.model.add_adapter(f"a{i}", str(path))
    return [f"a{i}" for i in range(len(adapters))]


def same(one: list[list[NDArray[np.float32]]], other: list[list[NDArray[np.float32]]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("part", ALL)
def test_an_adapter_does_what_weights_that_contain_it_do(part: str, make: Make, tmp_path: Path) -> None:
    driver, (prompt,) = make(mode="f16"), prompts(1)
    driver.model.add_adapter("it", str(write_peft(tmp_path / "it", rank=6, targets=[part], spread=SPREAD)))
    ours = driver.step([Row(adapter="it")], [prompt], every=True)
    plain = driver.step([Row()], [prompt], every=True)
    truth = merged(part, tmp_path / "merged").step([Row()], [prompt], every=True)
    assert np.abs(ours - truth).max() < 0.05 * np.abs(plain - truth).max()


def merged(part: str, folder: Path) -> Driver:
    """The small model with the adapter of the test before added to its weights."""
    values = weights(CONFIG)
    for name, (a, b) in matrices(rank=6, targets=[part], spread=SPREAD).items():
        layer = name.split(".")[1]
        theirs = next(each for each in values if f"layers.{layer}." in each and f".{part}_proj" in each)
        values[theirs] += 16 / 6 * b @ a
    return Driver(load(write_folder(folder, values=values), ModelOptions(weights="f16", kv_tokens=1024)))


def test_the_base_model_is_the_same_before_and_beside_adapters(make: Make, adapters: list[Path]) -> None:
    driver, given = make(), prompts(len(MANY))
    before = driver.generate(given, COUNT)
    keys = add_all(driver, adapters)
    after = driver.generate(given, COUNT)
    beside = driver.generate([each for each in given for _ in "ab"], COUNT, [x for key in keys for x in (None, key)])
    assert before[0] == after[0] == beside[0][::2]
    assert same(before[1], after[1])
    assert same(before[1], beside[1][::2])
    assert beside[0][1::2] != before[0]


def test_rows_with_adapters_are_the_same_alone_and_in_company(make: Make, adapters: list[Path]) -> None:
    driver, given = make(), prompts(24)
    keys = add_all(driver, adapters)
    of_rows = [[*keys, None][i % 8] for i in range(24)]
    alone = [driver.generate([p], COUNT, [key])[1][0] for p, key in zip(given, of_rows, strict=True)]
    _, together = driver.generate(given, COUNT, of_rows)
    again = [driver.generate([p], COUNT, [key])[1][0] for p, key in zip(given, of_rows, strict=True)]
    assert same(alone, together)
    assert same(alone, again)


def test_a_prompt_in_chunks_is_the_same_as_whole(make: Make, adapters: list[Path]) -> None:
    driver, (prompt,) = make(), prompts(1)
    key = add_all(driver, adapters)[5]
    (whole,) = driver.step([Row(adapter=key)], [prompt])
    row, others = Row(adapter=key), [Row(), Row(adapter="a6")]
    for begin in range(0, len(prompt) - 2, 7):
        end = begin + 7 if len(prompt) - begin > 9 else len(prompt)
        logits = driver.step([others[0], row, others[1]], [[1, 2], prompt[begin:end], [3, 4, 5]])
        if end == len(prompt):
            break
    assert np.array_equal(logits[1], whole)


def test_adapters_that_do_not_fit_into_memory_are_swapped_and_stay_the_same(make: Make, adapters: list[Path]) -> None:
    roomy, given = make(), prompts(len(MANY))
    keys = add_all(roomy, adapters)
    _, expected = roomy.generate(given, COUNT, keys)
    tight = make(slots=2)
    add_all(tight, adapters)
    for some in ([0, 1], [2, 3], [4, 0], [5, 6], [6, 1], [1, 2]):
        _, seen = tight.generate([given[i] for i in some], COUNT, [keys[i] for i in some])
        assert same(seen, [expected[i] for i in some])


def test_a_larger_adapter_that_comes_later_changes_no_other(make: Make, adapters: list[Path]) -> None:
    driver, (prompt,) = make(), prompts(1)
    driver.model.add_adapter("first", str(adapters[0]))
    _, before = driver.generate([prompt], COUNT, ["first"])
    for i, path in enumerate(adapters[1:]):
        driver.model.add_adapter(f"later {i}", str(path))
        assert same(driver.generate([prompt], COUNT, ["first"])[1], before)


def test_steps_go_on_unchanged_while_adapters_come_and_go(make: Make, adapters: list[Path]) -> None:
    driver, given = make(slots=3), prompts(3)
    driver.model.add_adapter("stays", str(adapters[0]))
    of_rows = [None, "stays", "stays"]
    _, expected = driver.generate(given, COUNT, of_rows)
    adding = Thread(target=lambda: [driver.model.add_adapter(f"{i}", str(adapters[i])) for i in range(1, 7)])
    adding.start()
    rounds = 0
    while adding.is_alive() or rounds < 3:
        assert same(driver.generate(given, COUNT, of_rows)[1], expected)
        rounds += 1
    for i in range(1, 7):
        driver.model.drop_adapter(f"{i}")
        assert same(driver.generate(given, COUNT, of_rows)[1], expected)


def test_what_has_been_added_needs_its_files_no_more(make: Make, adapters: list[Path], tmp_path: Path) -> None:
    path, (prompt,) = shutil.copytree(adapters[5], tmp_path / "copy"), prompts(1)
    first = make()
    first.model.add_adapter("it", str(path))
    _, expected = first.generate([prompt], COUNT, ["it"])
    shutil.rmtree(path)
    second = make()  # as after a restart: another process, the same spool
    card = second.model.add_adapter("it", str(path))
    assert (card.rank, card.targets) == (8, ALL)
    assert same(second.generate([prompt], COUNT, ["it"])[1], expected)


def test_when_the_largest_adapter_goes_the_others_take_no_more_room_than_they_need(
    make: Make, adapters: list[Path]
) -> None:
    driver, (prompt,) = make(), prompts(1)
    for key, path in (("small", adapters[5]), ("large", adapters[6])):
        driver.model.add_adapter(key, str(path))
    _, before = driver.generate([prompt], COUNT, ["small"])
    assert driver.model._library.stage.rank == 24
    driver.model.drop_adapter("large")
    for thread in threads():
        if thread.name == "adapter arena":
            thread.join()
    assert driver.model._library.stage.rank == 8
    assert same(driver.generate([prompt], COUNT, ["small"])[1], before)


def test_a_spool_that_was_swept_away_is_made_again(make: Make, adapters: list[Path], tmp_path: Path) -> None:
    driver, (prompt,) = make(), prompts(1)
    keys = add_all(driver, adapters[:1])
    shutil.rmtree(tmp_path)
    driver.model.add_adapter("later", str(adapters[5]))
    assert not same(*(driver.generate([prompt], COUNT, [key])[1] for key in (*keys, "later")))


def test_after_a_restart_one_graph_is_made_for_all_that_had_been_added(
    make: Make, adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_all(make(), adapters)
    again, made = make(), []
    compile_graph = again.model._compile_with
    monkeypatch.setattr(again.model, "_compile_with", lambda given: made.append(given) or compile_graph(given))
    add_all(again, adapters)
    assert len(made) == 1


def test_an_adapter_that_ended_the_process_before_is_not_counted_by_the_next(
    make: Make, adapters: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poisoned = make()
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", lambda *_: None)  # a killed process removes nothing
        patch.setattr(library, "free_bytes", lambda: 0)
        with pytest.raises(AdapterError):
            poisoned.model.add_adapter("poison", str(adapters[6]))
    assert len(list(tmp_path.iterdir())) == 1
    again = make()
    again.model.add_adapter("it", str(adapters[0]))
    assert again.model._library.stage.rank == 8


def test_with_less_memory_than_before_a_restart_the_small_adapters_are_served(
    make: Make, adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make()
    before.model.add_adapter("small", str(adapters[0]))
    before.model.add_adapter("large", str(adapters[6]))
    again, graph = make(), 2 * 170_000
    monkeypatch.setattr(library, "free_bytes", lambda: graph + 2**17)
    again.model.add_adapter("small", str(adapters[0]))
    with pytest.raises(AdapterError, match="more than is free"):
        again.model.add_adapter("large", str(adapters[6]))


def test_what_is_refused_or_dropped_leaves_nothing_on_disk(make: Make, adapters: list[Path], tmp_path: Path) -> None:
    driver = make()
    with pytest.raises(AdapterError):
        driver.model.add_adapter("none", str(tmp_path / "nowhere"))
    driver.model.add_adapter("it", str(adapters[0]))
    assert len(list(tmp_path.iterdir())) == 1
    driver.model.drop_adapter("it")
    driver.model.drop_adapter("unknown")
    assert list(tmp_path.iterdir()) == []


def test_without_a_spool_there_are_no_adapters(folder: Path, adapters: list[Path]) -> None:
    model = load(folder, ModelOptions(kv_tokens=64))
    assert model.card.adapters == 0
    with pytest.raises(AdapterError, match="without room"):
        model.add_adapter("it", str(adapters[0]))
