"""Who may: deny by default, by the path that the router goes by."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest
from server_kit import Server, body, play, play_on_socket

from friendli_endpoint.config import TokenHash
from friendli_endpoint.server.app import COMPLETIONS_PATH

TOKENS = (TokenHash.parse("flp_one"), TokenHash.parse("sha256:" + hashlib.sha256(b"flp_two").hexdigest()))
GOOD = ["Bearer flp_one", "bearer flp_two", "BEARER flp_one", "Bearer  flp_one"]
BAD = [
    "",
    "Bearer",
    "Bearer ",
    "flp_one",
    "Basic flp_one",
    "Bearer flp_on",
    "Bearer flp_one2",
    "Bearer FLP_ONE",
    "Bearer flp_one, Bearer flp_two",
    'Bearer "flp_one"',
    "Bearer flp_one\t,",
    "Bearer sha256:" + hashlib.sha256(b"flp_two").hexdigest(),
    "Bearer " + "x" * 10_000,
]


@pytest.mark.parametrize("credential", GOOD)
def test_a_known_token_is_let_in(credential: str) -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post(headers={"Authorization": credential})).status_code == 200

    play(scenario, tokens=TOKENS)


@pytest.mark.parametrize("credential", BAD)
def test_anything_else_is_told_what_is_needed(credential: str) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(headers={"Authorization": credential})
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.json()["error"]["type"] == "authentication_error"
        assert "flp_" not in reply.text
        assert not server.engine.submitted

    play(scenario, tokens=TOKENS)


def test_two_authorization_headers_are_refused() -> None:
    async def scenario(server: Server) -> None:
        headers = [("Authorization", "Bearer flp_one"), ("Authorization", "Bearer x")]
        assert (await server.client.post(COMPLETIONS_PATH, json=body(), headers=headers)).status_code == 401

    play(scenario, tokens=TOKENS)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", [COMPLETIONS_PATH, "/openapi.json", "/", "/nothing", "/metrics"])
def test_without_a_token_every_path_and_method_is_closed(method: str, path: str) -> None:
    async def scenario(server: Server) -> None:
        assert (await server.client.request(method, path)).status_code == 401

    play(scenario, tokens=TOKENS)


def test_health_and_readiness_are_open() -> None:
    async def scenario(server: Server) -> None:
        for path in ("/health", "/ready"):
            assert (await server.client.get(path)).status_code == 200
            assert (await server.client.head(path)).status_code == 200

    play(scenario, tokens=TOKENS)


PATH_TRICKS = [
    "/health/../dedicated/v1/completions",
    "/dedicated/v1/completions/",
    "//dedicated/v1/completions",
    "/dedicated//v1/completions",
    "/Dedicated/v1/completions",
    "/dedicated/v1/completions;x=/health",
    "/dedicated/v1/completions?x=/health",
    "/dedicated/v1/completions#/health",
    "/dedicated/v1/completions%00",
    "/dedicated/v1/completions%2f..%2fhealth",
    "/%64edicated/v1/completions",
    "/dedicated%2Fv1%2Fcompletions",
    "/health%2f..%2fdedicated/v1/completions",
    "/./dedicated/v1/completions",
    "/health/",
    "/health%0a",
    "/health%20",
    "/HEALTH",
    "http://127.0.0.1/dedicated/v1/completions",
    "http://health/dedicated/v1/completions",
]
HOSTS = ["test", "127.0.0.1/health", "/health", "test/health?", "", "test#/health", "evil@health"]


def test_no_path_or_host_trick_gets_past() -> None:
    async def scenario(server: Server) -> None:
        for path in PATH_TRICKS:
            for host in HOSTS:
                status = await _raw_status(server, path, host)
                assert status in (400, 401), (path, host, status)
        assert not server.engine.submitted

    play_on_socket(scenario, tokens=TOKENS)


async def _raw_status(server: Server, target: str, host: str) -> int:
    import asyncio

    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    content = b'{"model":"demo","prompt":"x","max_tokens":1}'
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    status_line = await reader.readline()
    writer.close()
    return int(status_line.split()[1])


def test_without_tokens_nobody_is_asked() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post()).status_code == 200
        assert (await server.post(headers={"Authorization": "Bearer anything"})).status_code == 200

    play(scenario)


def test_a_token_does_not_show_in_a_repr() -> None:
    assert "flp" not in repr(TOKENS)
    assert hashlib.sha256(b"flp_one").hexdigest() not in repr(TOKENS)
