"""Which adapters lie in which slots of memory: whatever comes and goes, each one lies where it is said to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

import pytest

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model import ModelOptions, load
from friendli_endpoint.model.adapters import library
from friendli_endpoint.model.adapters.adapter import Adapter
from friendli_endpoint.model.adapters.residents import Residents
from random_adapter import ALL, write_peft
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.adapters.arena import Arena

SLOTS = 4
KEYS = "abcdefghij"
ADAPTERS = {key: Adapter(cast("dict", key)) for key in KEYS}


class Slots:
    """An arena of names: an adapter's changes are its key."""

    def __init__(self) -> None:
        self.held: list[object] = [None] * SLOTS
        self.writes = 0

    def write(self, slot: int, changes: object) -> None:
        self.held[slot] = changes
        self.writes += 1

    def exchange(self, one: int, other: int) -> None:
        self.held[one], self.held[other] = self.held[other], self.held[one]


def residents(slots: Slots) -> Residents:
    return Residents(cast("Arena", slots), SLOTS)


@pytest.mark.parametrize("seed", range(5))
def test_each_adapter_lies_in_its_slot_whatever_comes_and_goes(seed: int) -> None:
    rng, slots = random.Random(seed), Slots()  # noqa: S311  not for security
    there = residents(slots)
    for _ in range(300):
        if rng.random() < 0.3:
            there.remove(rng.choice(KEYS))
        keys = rng.sample(KEYS, rng.randint(1, SLOTS))
        kept = [key for key in there.keys if key not in keys]
        placed = there.place(keys, ADAPTERS)
        assert [slots.held[placed[key]] for key in keys] == keys
        assert len(set(placed.values())) == len(keys)
        assert set(there.keys[-len(keys) :]) == set(keys)
        left = there.keys[: -len(keys)]
        assert left == kept[len(kept) - len(left) :], "the least recently used go first"


def test_an_adapter_that_is_still_there_is_not_written_again() -> None:
    slots = Slots()
    there = residents(slots)
    for keys in ("abcd", "a", "dc", "b", "abcd"):
        there.place(keys, ADAPTERS)
    assert slots.writes == SLOTS
    there.place("e", ADAPTERS)  # in place of a
    there.place("bcd", ADAPTERS)
    assert slots.writes == SLOTS + 1


def test_those_in_use_come_to_lie_in_the_first_slots_one_a_step() -> None:
    there = residents(Slots())
    there.place("abcd", ADAPTERS)
    assert set(there.place("cd", ADAPTERS).values()) == {0, 2}
    assert set(there.place("cd", ADAPTERS).values()) == {0, 1}
    there.remove("a")
    there.remove("b")
    assert set(there.place("cd", ADAPTERS).values()) == {0, 1}


def test_what_finds_no_memory_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").mkdir()
    model = load(
        write_folder(tmp_path / "little"), ModelOptions(kv_tokens=64, adapters=SLOTS, spool=tmp_path / "spool")
    )
    small = str(write_peft(tmp_path / "small", rank=8, targets=["q"]))
    large = str(write_peft(tmp_path / "large", rank=64, targets=ALL))
    monkeypatch.setattr(library, "free_bytes", lambda: 2**20)
    model.add_adapter("small", small)
    with pytest.raises(AdapterError, match=r"4 adapters of rank 64 in memory would take 2 MiB .*more than is free"):
        model.add_adapter("large", large)
    assert [path.stem for path in (tmp_path / "spool").iterdir()] == ["small"]
    model.add_adapter("other", small)
