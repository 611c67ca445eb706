"""Fixtures that more than one room uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reference import Reference, reference_python


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
