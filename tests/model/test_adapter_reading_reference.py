"""What is read of an adapter that peft saved is what peft itself adds to the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from friendli_endpoint.model.adapters import read_adapter
from friendli_endpoint.model.from_folder import read_folder
from random_adapter import PARTS
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from reference import Reference

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def saved(reference: Reference, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    write_folder(folder / "model")
    reference.run(request.config.rootpath / "tests/model/oracle_adapter_reading.py", folder / "model", folder)
    return folder


@pytest.mark.parametrize(
    "case", ["plain", "all-linear", "stabilised", "one-layer", "patterns", "stabilised-patterns", "half"]
)
def test_the_changes_are_those_that_peft_makes(case: str, saved: Path) -> None:
    adapter = read_adapter(saved / case, read_folder(saved / "model").config)
    expected = np.load(saved / case / "deltas.npz")
    names = {f"model.{name.rpartition('.')[0]}.{PARTS[name.rpartition('.')[2]][0]}": name for name in adapter.changes}
    assert set(expected) == set(names)
    for module, name in names.items():
        change = adapter.changes[name]
        assert np.allclose(change.b @ change.a, expected[module], rtol=1e-5, atol=1e-6)
