"""From a path to a model that runs, on processors that differ in what they can do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from step_driver import Driver, Row

from friendli_endpoint.errors import EngineError
from friendli_endpoint.model import ModelOptions, load, loading
from friendli_endpoint.model.from_folder import model_name
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

LITTLE = ModelOptions(weights="f16", kv_tokens=64)


def test_a_processor_without_16_bit_kv_gets_32_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path)
    usual = Driver(load(folder, LITTLE)).step([Row()], [[1, 2, 3]])
    monkeypatch.setattr(loading, "KV_PRECISIONS", ("refused", "f32"))
    fallback = Driver(load(folder, LITTLE)).step([Row()], [[1, 2, 3]])
    assert np.abs(usual - fallback).max() < 0.02
    assert not np.array_equal(usual, fallback)


def test_kv_can_be_asked_for_in_32_bits(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    usual, exact = (Driver(load(folder, replace(LITTLE, kv=kv))).step([Row()], [[1, 2, 3]]) for kv in ("f16", "f32"))
    assert 0 < np.abs(usual - exact).max() < 0.02


def test_a_processor_that_cannot_run_the_model_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "KV_PRECISIONS", ("refused",))
    with pytest.raises(EngineError, match=r"OpenVINO cannot run little on this processor: .+"):
        load(write_folder(tmp_path / "little"), LITTLE)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_logit(threads: int, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    usual = Driver(load(folder, LITTLE)).step([Row()], [[1, 2, 3]])
    some = Driver(load(folder, replace(LITTLE, threads=threads))).step([Row()], [[1, 2, 3]])
    assert np.array_equal(usual, some)


def test_a_folder_in_the_hubs_cache_goes_by_its_models_id(tmp_path: Path) -> None:
    assert model_name(tmp_path / "models--org--some-name" / "snapshots" / "0a1b") == "org/some-name"
    assert model_name(tmp_path / "some-name") == "some-name"
