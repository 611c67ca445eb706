"""Route x method x credential, teams, targets and Hosts, as raw bytes: each gets the status that the rules give it."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from auth_cases import SETTINGS, cases, texts_of
from auth_model import CLOSED
from server_kit import Server, play_on_socket

from friendli_endpoint.access import TokenStore
from friendli_endpoint.config import TokenHash

if TYPE_CHECKING:
    from pathlib import Path

    from auth_cases import Case

PARTS = 8
AT_ONCE = 16


@pytest.mark.parametrize("part", range(PARTS))
def test_every_request_gets_the_status_that_the_rules_give_it(part: int, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with closing(TokenStore.open(state)) as store:
        texts = texts_of(store)

    async def scenario(server: Server) -> None:
        wrong = await misjudged(server.url, list(cases(texts))[part::PARTS])
        assert not wrong, f"{len(wrong)}, such as {wrong[:5]}"

    known = {name: (TokenHash.parse(text),) for name, text in SETTINGS.items()}
    play_on_socket(scenario, state=str(state), **known)


async def misjudged(url: str, some: list[Case]) -> list[tuple[str, int, int]]:
    """The cases that are answered otherwise than expected: name, expected and found."""
    turns = asyncio.Semaphore(AT_ONCE)
    address = urlsplit(url)

    async def found(case: Case) -> int:
        async with turns:
            return await _status(address.hostname, address.port, case.request)

    statuses = await asyncio.gather(*map(found, some))
    return [
        (case.name, case.expected, status)
        for case, status in zip(some, statuses, strict=True)
        if status != case.expected
    ]


async def _status(host: str | None, port: int | None, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    line = b""
    with suppress(ConnectionError):
        writer.write(request)
        line = await reader.readline()
    writer.close()
    return int(line.split()[1]) if line else CLOSED
