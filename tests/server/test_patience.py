"""Connections that make the server wait: before a head is there, and while a reply is not read."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from msgspec import structs
from server_kit import Server, body, play_on_socket, until

from friendli_endpoint.engine.fake import FAKE_CARD, FakeEngine
from friendli_endpoint.server.app import COMPLETIONS_PATH


@pytest.mark.parametrize("said", [b"", b"GET /health HTTP/1.1\r\nHost: te"], ids=["nothing", "half a head"])
def test_a_connection_that_sends_no_head_in_time_is_closed(said: bytes) -> None:
    async def scenario(server: Server) -> None:
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(said)
        with suppress(ConnectionError):  # closed, be it cleanly or by a reset
            assert await reader.read() == b""
        writer.close()

    play_on_socket(scenario, header_seconds=0.1)


def test_a_head_without_end_is_cut_off() -> None:
    async def scenario(server: Server) -> None:
        address = urlsplit(server.url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"GET /health HTTP/1.1\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            await _endless(writer)
        writer.close()

    play_on_socket(scenario)


async def _endless(writer: asyncio.StreamWriter) -> None:
    for _ in range(10_000):
        writer.write(b"x" * 10_000)
        await writer.drain()


def test_a_request_may_take_longer_than_its_head() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        reply = asyncio.create_task(server.post())
        await until(lambda: bool(server.engine.live))
        asyncio.get_running_loop().call_later(0.3, server.engine.resume)
        assert (await reply).status_code == 200

    play_on_socket(scenario, header_seconds=0.1)


def test_a_client_that_does_not_read_has_left_and_its_place_is_free() -> None:
    engine = FakeEngine(structs.replace(FAKE_CARD, context_length=200_000, kv_blocks=10_000))

    async def scenario(server: Server) -> None:
        address = urlsplit(server.url)
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect((address.hostname, address.port))
        content = json.dumps(body(max_tokens=100_000, stream=True)).encode()
        head = f"POST {COMPLETIONS_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        silent.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await until(lambda: bool(server.engine.live))
        assert (await server.post()).status_code == 429
        async with asyncio.timeout(20):
            while (await server.post()).status_code == 429:
                pass
        silent.close()

    play_on_socket(scenario, engine, stall_seconds=0.2, max_requests=1)
