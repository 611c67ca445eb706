"""The calls about adapters: what they answer, and what they refuse."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from server_kit import ADAPTERS, Server, error_of, play, play_on_socket, until

from friendli_endpoint.server.app import ADAPTERS_PATH


def test_what_is_put_is_shown_and_listed_by_route_until_it_is_removed() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.client.get(ADAPTERS)).json() == {"object": "list", "data": []}
        before = int(time.time())
        new = await server.put("pirate", "/adapters/pirate")
        adapter = new.json()
        assert new.status_code == 201
        assert before <= adapter.pop("created") <= int(time.time())
        assert adapter == {
            "object": "adapter",
            "route": "pirate",
            "source": "/adapters/pirate",
            "rank": 8,
            "targets": ["q", "v"],
            "parameters": 1000,
            "requests": 0,
        }
        replaced = await server.put("pirate", "org/name")
        assert (replaced.status_code, replaced.json()["source"]) == (200, "org/name")
        await server.put("legal", "x")
        listed = (await server.client.get(ADAPTERS)).json()["data"]
        assert [each["route"] for each in listed] == ["legal", "pirate"]
        assert (await server.client.get(f"{ADAPTERS}/pirate")).json() == listed[1] == replaced.json()
        gone = await server.remove("pirate")
        assert (gone.status_code, gone.content) == (204, b"")
        assert await server.routes() == {"legal": "x"}

    play_on_socket(scenario)


def test_an_adapter_tells_how_many_requests_use_it() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        server.engine.stall()
        running = [asyncio.create_task(server.text("demo:pirate")) for _ in range(3)]
        await until(lambda: len(server.engine.live) == 3)
        assert (await server.client.get(f"{ADAPTERS}/pirate")).json()["requests"] == 3
        server.engine.resume()
        await asyncio.gather(*running)
        assert (await server.client.get(f"{ADAPTERS}/pirate")).json()["requests"] == 0

    play(scenario)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_route_is_404_with_the_known_ones(method: str) -> None:
    async def scenario(server: Server) -> None:
        await server.put("legal", "a")
        for route, shown in (("pirate", "'pirate'"), ("Legal", "'Legal'"), ("%00", r"'\x00'"), ("%ff", "'\ufffd'")):
            error = error_of(await server.client.request(method, f"{ADAPTERS}/{route}"), 404)
            assert error["field"] == "route"
            assert error["message"] == f"There is no adapter {shown}; known adapters: legal."

    play_on_socket(scenario)


GOOD_ROUTES = ["a", "0", "A.b_c-9", "x" * 64, "v1.2", "%70irate"]
BAD_ROUTES = [
    "x" * 65,
    ".a",
    "-a",
    "_a",
    "a%20b",
    "a%0a",
    "%00",
    "%ff",
    "a%3ab",
    "%e2%82%ac",
    "a@1",
    "a%2525",
    "%C2%B2",
]


def test_a_route_is_called_by_letters_digits_dots_underscores_and_hyphens() -> None:
    async def scenario(server: Server) -> None:
        for route in GOOD_ROUTES:
            assert (await server.put(route, "a")).status_code == 201, route
        for route in BAD_ROUTES:
            error = error_of(await server.put(route, "a"), 422)
            assert error["field"] == "route"
            assert "1 to 64 letters, digits" in error["message"]
        assert set(await server.routes()) == {*GOOD_ROUTES[:-1], "pirate"}
        assert "Allow" not in (await server.put("a%2fb", "a")).headers  # a slash is no part of a route
        error_of(await server.put("a%2fb", "a"), 404)

    play_on_socket(scenario)


BAD_BODIES = {
    "no source": ({}, "source"),
    "null": ({"source": None}, "source"),
    "number": ({"source": 1}, "source"),
    "true": ({"source": True}, "source"),
    "list": ({"source": ["a"]}, "source"),
    "empty": ({"source": ""}, "source"),
    "spaces": ({"source": " "}, "source"),
    "NUL": ({"source": "a\0b"}, "source"),
    "newline": ({"source": "a\nb"}, "source"),
    "escape": ({"source": "\x1b[31m"}, "source"),
    "lone surrogate": ({"source": "\ud800"}, "source"),
    "too long": ({"source": "x" * 4097}, "source"),
    "unknown field": ({"source": "a", "rank": 8}, "rank"),
    "misspelt field": ({"src": "a"}, "src"),
    "long field": ({"x" * 5000: 1}, "x" * 100),
    "surrogate field": ({"\ud800": 1}, "?"),
}


@pytest.mark.parametrize(("members", "field"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_wrong_body_is_a_422_that_names_the_field(members: dict[str, object], field: str) -> None:
    async def scenario(server: Server) -> None:
        sent = {"content": json.dumps(members), "headers": {"Content-Type": "application/json"}}
        error = error_of(await server.client.put(f"{ADAPTERS}/pirate", **sent), 422)
        assert error["field"] == field
        assert field in error["message"]
        assert await server.routes() == {}
        assert not server.engine.adapters

    play(scenario)


RAW = {
    "no JSON": (b"source=a", {}, 400),
    "empty": (b"", {}, 400),
    "not UTF-8": (b'{"source": "\xff"}', {}, 400),
    "list": (b"[]", {}, 422),
    "twice": (b'{"source": "a", "source": "b"}', {}, 422),
    "deep": (b'{"source":' + b"[" * 40 + b"]" * 40 + b"}", {}, 422),
    "type": (b'{"source": "a"}', {"Content-Type": "text/plain"}, 415),
    "coding": (b'{"source": "a"}', {"Content-Encoding": "gzip"}, 415),
    "too large": (b'{"source": "a"' + b" " * 70_000 + b"}", {}, 413),
}


@pytest.mark.parametrize(("content", "headers", "status"), RAW.values(), ids=RAW.keys())
def test_bodies_have_the_limits_that_they_have_elsewhere(content: bytes, headers: dict[str, str], status: int) -> None:
    async def scenario(server: Server) -> None:
        sent = {"Content-Type": "application/json"} | headers
        error_of(await server.client.put(f"{ADAPTERS}/pirate", content=content, headers=sent), status)
        assert not server.engine.adapters

    play(scenario)


def test_another_endpoint_is_404_and_another_method_405() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        other = ADAPTERS_PATH.format(endpoint_id="other")
        for method, path in (("GET", other), ("GET", f"{other}/pirate"), ("DELETE", f"{other}/pirate")):
            assert "no endpoint 'other'" in error_of(await server.client.request(method, path), 404)["message"]
        assert error_of(await server.client.put(f"{other}/pirate", json={"source": "a"}), 404)
        for path, methods in (
            (ADAPTERS, "PUT POST DELETE PATCH OPTIONS"),
            (f"{ADAPTERS}/pirate", "POST PATCH OPTIONS"),
        ):
            for method in methods.split():
                reply = await server.client.request(method, path)
                assert error_of(reply, 405)["type"] == "method_not_allowed"
                assert "GET" in reply.headers["allow"]
        for path in (f"{ADAPTERS}/", f"{ADAPTERS}/pirate/", f"{ADAPTERS}/a/b"):
            assert (await server.client.get(path)).status_code == 404
        assert (await server.client.head(f"{ADAPTERS}/pirate")).status_code == 200
        assert await server.routes() == {"pirate": "a"}

    play(scenario)
