from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outside_kit import llama_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outside_kit import Llama


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("FRIENDLI_TOKEN", "FRIENDLI_SERVER_URL", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def llama(default_model: Path) -> Iterator[Llama]:
    with llama_server(default_model) as server:
        yield server
