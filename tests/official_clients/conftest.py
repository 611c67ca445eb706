"""One process per client, one server for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clients_kit import CLIENTS, WAYS, Narrator, calling, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clients_kit import Caller, Place


@pytest.fixture(scope="session", params=CLIENTS, ids=lambda client: client.name)
def caller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with calling(request.param, tmp_path_factory.mktemp("caller")) as each:
        yield each


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def engine() -> Narrator:
    return Narrator()


@pytest.fixture(scope="session")
def place(engine: Narrator) -> Iterator[Place]:
    with serving(engine) as each:
        yield each
