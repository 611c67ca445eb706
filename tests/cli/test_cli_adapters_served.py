"""`friendli adapters` against the server itself, on the fake engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli_kit import EXAMPLE, finished, run, server, start

from friendli_endpoint.engine.fake import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def naming() -> Iterator[list[str]]:
    """The options that name the server; its token is an admin's."""
    with server(engine=FakeEngine()) as found:
        yield ["--server-url", found.base_url, "--token", found.token]


def test_an_adapter_is_added_asked_replaced_and_removed_while_it_serves(naming: list[str]) -> None:
    def said(*args: str) -> str:
        result = run(*args, *naming)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    assert said("adapters", "list") == ""
    base = said("complete", "x", "--seed", "1", "-m", "demo", "--json")
    assert said("adapters", "add", "pirate", str(EXAMPLE)) == "Added pirate to demo: rank 8, q v, 1,000 parameters.\n"
    assert said("complete", "x", "--seed", "1", "-m", "demo:pirate", "--json") != base
    assert said("adapters", "add", "pirate", str(EXAMPLE)).startswith("Replaced pirate of demo")
    assert str(EXAMPLE) in said("adapters", "list")
    assert said("adapters", "remove", "pirate") == "Removed pirate from demo.\n"
    assert json.loads(said("adapters", "list", "--json")) == {"object": "list", "data": []}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["add", "pirate", "/no/such/folder"], "/no/such/folder cannot be read"),
        (["add", "a:b", str(EXAMPLE)], "letters, digits"),
        (["remove", "pirate"], "There is no adapter 'pirate'; known adapters: none. (status 404"),
        (["list", "--endpoint", "other"], "There is no endpoint 'other'"),
        (["list", "--token", "wrong"], "The token is not valid"),
    ],
)
def test_what_a_real_server_refuses_is_told_in_one_line(naming: list[str], args: list[str], said: str) -> None:
    result = run("adapters", args[0], *naming, *args[1:])
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr.splitlines()[-1]


def test_a_removal_waits_for_the_requests_that_run() -> None:
    engine = FakeEngine(step_seconds=0.005)
    with server(engine=engine) as found:
        naming = ["--server-url", found.base_url, "--token", found.token]
        assert run("adapters", "add", "pirate", str(EXAMPLE), *naming).exit_code == 0
        process = start("complete", "x", "--max-tokens", "200", "-m", "demo:pirate", *naming)
        assert process.stdout is not None
        assert process.stdout.read(1)
        assert run("adapters", "remove", "pirate", *naming).exit_code == 0
        assert engine.live == {}
        code, _, errors = finished(process)
    assert (code, errors) == (0, "")
