"""Route x method x credential, teams, targets and Hosts, as raw bytes: each gets the status that the rules give it."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from bench.endurance.auth_cases import cases, misjudged
from bench.endurance.auth_credentials import SETTINGS, texts_of
from bench.endurance.auth_model import ROUTES
from server_kit import Server, deployment_of, play_on_socket, service_with, settings

from friendli_endpoint.access import TokenStore
from friendli_endpoint.config import TokenHash
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import create_app

if TYPE_CHECKING:
    from pathlib import Path

PARTS = 8


def test_the_rules_know_every_route_and_method() -> None:
    routes = create_app(service_with(deployment_of(FakeEngine()), settings())).routes
    methods = {route.path: set(route.methods or ()) - {"HEAD"} for route in routes}
    assert methods == {pattern: set(doors) for pattern, doors in ROUTES.items()}


@pytest.mark.parametrize("part", range(PARTS))
def test_every_request_gets_the_status_that_the_rules_give_it(part: int, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with closing(TokenStore.open(state)) as store:
        texts = texts_of(store)

    async def scenario(server: Server) -> None:
        wrong = await misjudged(server.url, islice(cases(texts), part, None, PARTS))
        assert not wrong, f"{len(wrong)}, such as {wrong[:5]}"

    known = {name: (TokenHash.parse(text),) for name, text in SETTINGS.items()}
    play_on_socket(scenario, state=str(state), **known)
