"""`friendli serve` with the default model, for the tests of this folder together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from serving_kit import Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def served(default_model: Path) -> Iterator[Served]:
    each = serve(default_model)
    yield each
    each.process.terminate()
    each.process.communicate(timeout=60)
    assert each.process.returncode == 0
