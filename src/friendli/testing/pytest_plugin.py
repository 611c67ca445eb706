"""The fixture `friendli_endpoint`; pytest loads this module at its start, so it imports pytest alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli.testing.endpoint import Endpoint

_MARKER = "friendli_endpoint"
_passed = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_MARKER}(*script, **options): the arguments of the fixture's Endpoint")


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    if call.when == "call":
        item.stash[_passed] = call.excinfo is None


@pytest.fixture
def friendli_endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """An endpoint in memory that every client of the test talks to; see `friendli.testing.Endpoint`.

    Its arguments come from the mark: `@pytest.mark.friendli_endpoint("Hello", default="Bye")`. Where the test passed,
    it is an error that replies were left unused, or that something was asked beyond the script.
    """
    from friendli.testing.endpoint import Endpoint

    mark = request.node.get_closest_marker(_MARKER)
    endpoint = Endpoint(*mark.args, **mark.kwargs) if mark else Endpoint()
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.stop(check=request.node.stash.get(_passed, False))
