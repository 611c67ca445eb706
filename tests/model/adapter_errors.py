"""How an adapter that cannot be served is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters import read_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.config import ModelConfig


def message(path: Path, config: ModelConfig) -> str:
    with pytest.raises(AdapterError) as caught:
        read_adapter(path, config)
    return str(caught.value)
