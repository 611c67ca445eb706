"""Who may, by the tokens of the settings; test_doors.py has those that were created, the matrix every way to ask."""

from __future__ import annotations

import hashlib

import pytest
from server_kit import ADAPTERS, Server, body, play

from friendli_endpoint.config import TokenHash
from friendli_endpoint.server.app import COMPLETIONS_PATH

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


@pytest.mark.parametrize("admins", [ADMINS, ()], ids=["admin tokens", "no admin tokens"])
def test_a_token_that_is_no_admins_is_told_what_is_needed(admins: tuple[TokenHash, ...]) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.client.put(f"{ADAPTERS}/pirate", json={"source": "a"}, headers=USER)
        error = reply.json()["error"]
        assert (reply.status_code, error["type"]) == (403, "permission_denied")
        assert "--admin-token" in error["message"]
        assert (await server.client.get("/nothing", headers=USER)).status_code == 404
        assert (await server.client.get("/dedicated/v1/endpoints", headers=USER)).status_code == 200
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


def test_without_tokens_nobody_is_asked() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post()).status_code == 200
        assert (await server.post(headers={"Authorization": "Bearer anything"})).status_code == 200
        assert (await server.put("pirate", "a")).status_code == 201

    play(scenario)


def test_a_token_does_not_show_in_a_repr() -> None:
    assert "flp" not in repr(TOKENS)
    assert hashlib.sha256(b"flp_one").hexdigest() not in repr(TOKENS)
