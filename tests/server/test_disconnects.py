"""A client that goes away frees its place, wherever its request is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from server_kit import Server, body, play_on_socket, says, until

from friendli_endpoint.engine.fake import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = "word " * 60


async def _ask(server: Server, **fields: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request over a socket of its own, and read nothing."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    content = json.dumps(body(max_tokens=300, **fields)).encode()
    head = (
        "POST /dedicated/v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await writer.drain()
    return reader, writer


def _leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _half_close(writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("leave", [_leave, _half_close], ids=["reset", "close"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("n", [1, 3])
def test_leaving_while_the_engine_works(stream: bool, n: int, leave: Callable[[asyncio.StreamWriter], None]) -> None:
    async def scenario(server: Server) -> None:
        reader, writer = await _ask(server, stream=stream, n=n)
        if stream:
            await reader.readuntil(b'"token":')
        await until(lambda: bool(server.engine.live))
        leave(writer)
        await until(lambda: not server.engine.live)
        assert server.engine.aborted == [(server.engine.submitted[0].id, None)]

    play_on_socket(scenario, FakeEngine(script=says(LONG), step_seconds=0.005))


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_leaving_before_the_first_token(stream: bool) -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        _, writer = await _ask(server, stream=stream)
        await until(lambda: bool(server.engine.live))
        _leave(writer)
        await until(lambda: not server.engine.live)

    play_on_socket(scenario)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_leaving_while_waiting_for_a_row(stream: bool) -> None:
    async def scenario(server: Server) -> None:
        _, first = await _ask(server)
        await until(lambda: len(server.engine.live) == 1)
        _, second = await _ask(server, stream=stream)
        await until(lambda: len(server.engine.live) == 2)
        waiting = server.engine.submitted[1].id
        _leave(second)
        await until(lambda: len(server.engine.live) == 1)
        assert server.engine.aborted == [(waiting, None)]
        _leave(first)
        await until(lambda: not server.engine.live)

    play_on_socket(scenario, FakeEngine(script=says(LONG), rows=1, step_seconds=0.01))


def test_a_place_is_free_again_after_its_client_has_left() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        _, writer = await _ask(server)
        await until(lambda: bool(server.engine.live))
        assert (await server.post()).status_code == 429
        _leave(writer)
        await until(lambda: not server.engine.live)
        server.engine.resume()
        # The engine forgets a request some steps of the event loop before its place is free.
        async with asyncio.timeout(20):
            while (reply := await server.post()).status_code == 429:
                pass
        assert reply.status_code == 200

    play_on_socket(scenario, max_requests=1)


def test_leaving_in_the_middle_of_the_body_leaves_nothing_behind() -> None:
    async def scenario(server: Server) -> None:
        address = urlsplit(server.url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        head = "POST /dedicated/v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 500\r\n\r\n{{".encode())
        await writer.drain()
        _leave(writer)
        assert (await server.post()).status_code == 200
        assert len(server.engine.submitted) == 1

    play_on_socket(scenario, max_requests=1)


def test_a_reader_that_stays_gets_everything_although_others_leave() -> None:
    async def scenario(server: Server) -> None:
        staying = asyncio.create_task(server.post(max_tokens=300))
        await until(lambda: len(server.engine.live) == 1)
        writers = [(await _ask(server, stream=True))[1] for _ in range(8)]
        await until(lambda: len(server.engine.live) == 9)
        for writer in writers:
            _leave(writer)
        (choice,) = (await staying).json()["choices"]
        assert choice["text"] == LONG
        await until(lambda: not server.engine.live)

    play_on_socket(scenario, FakeEngine(script=says(LONG), step_seconds=0.003))
