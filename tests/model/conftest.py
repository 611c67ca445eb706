"""Small reference models, made once per test run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from friendli_endpoint.model.from_folder import read_folder
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.config import ModelConfig
    from reference import Reference


@pytest.fixture(scope="session")
def tiny_models(reference: Reference, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model folder `<name>/` and an `Expected` in `<name>.npz` for each name of the oracle."""
    folder = tmp_path_factory.mktemp("tiny")
    reference.run(request.config.rootpath / "tests/model/oracle_tiny.py", folder)
    return folder


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    """Of the random model, which is called `tiny`."""
    return read_folder(write_folder(tmp_path_factory.mktemp("models") / "tiny")).config
