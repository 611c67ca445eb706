"""Fixtures that more than one room uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reference import Reference, reference_python

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def state_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What servers keep when nobody says where goes into a folder of this run, not into the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRIENDLI_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Runs oracle scripts: `reference.run(script, *args)`; the environment is made on first use."""
    return Reference(reference_python())


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model's GGUF file; FRIENDLI_DEFAULT_MODEL names a copy that is already there."""
    if named := os.environ.get("FRIENDLI_DEFAULT_MODEL"):
        return Path(named)
    from friendli_endpoint import hub

    return hub.resolve("smollm2-135m")
