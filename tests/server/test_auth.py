"""Who may: deny by default, by the path that the router goes by."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from server_kit import ADAPTERS, Server, body, deployment_of, play, play_on_socket, settings

from friendli_endpoint.config import TokenHash
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import COMPLETIONS_PATH, OPENAPI_PATH, create_app
from friendli_endpoint.server.auth import OPEN_PATHS
from friendli_endpoint.server.routes import ConfiguredAdapter

TOKENS = (TokenHash.parse("flp_one"), TokenHash.parse("sha256:" + hashlib.sha256(b"flp_two").hexdigest()))
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path", [COMPLETIONS_PATH, "/openapi.json", ADAPTERS, f"{ADAPTERS}/pirate", "/", "/nothing", "/metrics"]
)
def test_without_a_token_every_path_and_method_is_closed(method: str, path: str) -> None:
    async def scenario(server: Server) -> None:
        assert (await server.client.request(method, path)).status_code == 401

    play(scenario, tokens=TOKENS)


ADMINS = (TokenHash.parse("flp_admin"),)
USER = {"Authorization": "Bearer flp_one"}
ADMIN = {"Authorization": "Bearer flp_admin"}


def test_every_route_that_is_not_named_here_needs_an_admin_token() -> None:
    for_users = {COMPLETIONS_PATH, OPENAPI_PATH}
    routes = create_app(deployment_of(FakeEngine()), settings()).routes
    paths = {route.path: route.path.format(endpoint_id="demo", route="pirate") for route in routes}
    assert paths.keys() > for_users | OPEN_PATHS

    async def scenario(server: Server) -> None:
        for path in paths.keys() - OPEN_PATHS:
            for method in METHODS:
                assert (await server.client.request(method, paths[path])).status_code == 401
                closed = (await server.client.request(method, paths[path], headers=USER)).status_code == 403
                assert closed == (path not in for_users), (method, path)
                status = (await server.client.request(method, paths[path], headers=ADMIN)).status_code
                assert status not in (401, 403), (method, path)

    play(scenario, tokens=TOKENS, admin_tokens=ADMINS)


@pytest.mark.parametrize("admins", [ADMINS, ()], ids=["admin tokens", "no admin tokens"])
def test_a_token_that_is_no_admins_is_told_what_is_needed(admins: tuple[TokenHash, ...]) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.client.put(f"{ADAPTERS}/pirate", json={"source": "a"}, headers=USER)
        error = reply.json()["error"]
        assert (reply.status_code, error["type"]) == (403, "permission_denied")
        assert "--admin-token" in error["message"]
        assert (await server.client.get("/nothing", headers=USER)).status_code == 404
        assert (await server.client.get("/dedicated/v1/endpoints", headers=USER)).status_code == 404
        assert not server.engine.adapters

    play(scenario, tokens=TOKENS, admin_tokens=admins)


@pytest.mark.parametrize("tokens", [TOKENS, ()], ids=["tokens", "no other tokens"])
def test_an_admin_token_is_good_for_changes_and_for_completions(tokens: tuple[TokenHash, ...]) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.client.put(f"{ADAPTERS}/pirate", json={"source": "a"}, headers=ADMIN)
        assert reply.status_code == 201
        assert (await server.post(headers=ADMIN, model="demo:pirate")).status_code == 200
        assert (await server.post()).status_code == 401
        assert (await server.client.delete(f"{ADAPTERS}/pirate", headers=ADMIN)).status_code == 204

    play(scenario, tokens=tokens, admin_tokens=ADMINS)


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
ADMIN_TRICKS = [
    f"{ADAPTERS}/pirate?x={COMPLETIONS_PATH}",
    f"{COMPLETIONS_PATH}/../endpoints/demo/adapters/pirate",
    f"//{ADAPTERS}/pirate",
    f"{ADAPTERS}%2fpirate",
    f"{ADAPTERS}/%70irate",
    f"{ADAPTERS}/pirate%0a",
    f"{ADAPTERS}/pirate;/openapi.json",
    f"{COMPLETIONS_PATH}%0a",
    f"/health/..{ADAPTERS}/pirate",
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


def test_no_trick_makes_an_admin_of_a_user() -> None:
    async def scenario(server: Server) -> None:
        for path in ADMIN_TRICKS:
            for host in HOSTS:
                status = await _raw_status(server, path, host, "DELETE", "Authorization: Bearer flp_one\r\n")
                assert status in (400, 403, 404), (path, host, status)
        assert (await server.post(headers=USER, model="demo:pirate")).status_code == 200

    adapter = ConfiguredAdapter("pirate", "a", Path("a"))
    play_on_socket(scenario, served={"adapters": [adapter]}, tokens=TOKENS, admin_tokens=ADMINS)


async def _raw_status(server: Server, target: str, host: str, method: str = "POST", more: str = "") -> int:
    import asyncio

    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n{more}"
    )
    content = b'{"model":"demo","prompt":"x","max_tokens":1}'
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    status_line = await reader.readline()
    writer.close()
    return int(status_line.split()[1])


def test_without_tokens_nobody_is_asked() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post()).status_code == 200
        assert (await server.post(headers={"Authorization": "Bearer anything"})).status_code == 200
        assert (await server.put("pirate", "a")).status_code == 201

    play(scenario)


def test_a_token_does_not_show_in_a_repr() -> None:
    assert "flp" not in repr(TOKENS)
    assert hashlib.sha256(b"flp_one").hexdigest() not in repr(TOKENS)
