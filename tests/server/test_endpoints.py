"""Several endpoints in one server: each has its own life, model, adapters and turns."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from server_kit import Server, body, byte_tokenizer, error_of, find_adapter, play, says, settings, until

from friendli_endpoint.config import EndpointSettings, Settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import ModelError
from friendli_endpoint.server.app import COMPLETIONS_PATH, ENDPOINTS_PATH, create_app
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.service import open_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEMO = f"{ENDPOINTS_PATH}/demo"


@asynccontextmanager
async def several(
    engines: dict[str, FakeEngine], endpoint: EndpointSettings | None = None, **limits: object
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server with an endpoint for each engine."""
    deployments = [
        Deployment(name, each, byte_tokenizer(), resolve_adapter=find_adapter) for name, each in engines.items()
    ]
    chosen = dict.fromkeys(engines, endpoint or EndpointSettings())
    service = open_service(deployments, Settings(server=settings(**limits), endpoints=chosen))
    await service.endpoints.start()
    transport = httpx2.ASGITransport(create_app(service))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await service.endpoints.close()
    service.close()


async def _status(client: httpx2.AsyncClient, endpoint_id: str = "demo") -> str:
    return (await client.get(f"{ENDPOINTS_PATH}/{endpoint_id}")).json()["status"]


async def _text(client: httpx2.AsyncClient, model: str, **fields: object) -> str:
    reply = await client.post(COMPLETIONS_PATH, json=body(model=model, **fields))
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["text"]


def test_each_endpoint_answers_for_itself_and_names_itself() -> None:
    async def main() -> None:
        engines = {name: FakeEngine(script=says(name)) for name in ("ant", "bee")}
        async with several(engines) as client:
            assert [await _text(client, name) for name in ("ant", "bee")] == ["ant", "bee"]
            reply = await client.post(COMPLETIONS_PATH, json=body(model="bee"))
            assert reply.json()["model"] == "bee"
            error = error_of(await client.post(COMPLETIONS_PATH, json=body(model="cat")), 404)
            assert error["message"] == "There is no endpoint 'cat'; this server has 'ant', 'bee'."

    asyncio.run(main())


def test_adapters_belong_to_their_endpoint() -> None:
    async def main() -> None:
        async with several({"ant": FakeEngine(), "bee": FakeEngine()}) as client:
            assert (await client.put(f"{ENDPOINTS_PATH}/ant/adapters/a", json={"source": "x"})).status_code == 201
            await _text(client, "ant:a")
            error_of(await client.post(COMPLETIONS_PATH, json=body(model="bee:a")), 404)
            assert (await client.get(f"{ENDPOINTS_PATH}/bee/adapters")).json()["data"] == []

    asyncio.run(main())


def test_the_endpoints_are_listed_with_what_they_do() -> None:
    async def main() -> None:
        async with several({"bee": FakeEngine(), "ant": FakeEngine()}) as client:
            listed = (await client.get(ENDPOINTS_PATH)).json()
            assert listed["object"] == "list"
            assert [each["id"] for each in listed["data"]] == ["ant", "bee"]
            one = (await client.get(f"{ENDPOINTS_PATH}/bee")).json()
            assert one == listed["data"][1]
            assert (one["object"], one["status"], one["error"], one["requests"]) == ("endpoint", "RUNNING", None, 0)
            error_of(await client.get(f"{ENDPOINTS_PATH}/cat"), 404)

    asyncio.run(main())


def test_one_that_cannot_start_has_failed_and_the_others_serve() -> None:
    async def main() -> None:
        broken, good = FakeEngine(), FakeEngine(script=says("Ok"))
        broken.fail_with = ModelError("The file is cut short.")
        async with several({"ant": broken, "bee": good}) as client:
            one = (await client.get(f"{ENDPOINTS_PATH}/ant")).json()
            assert (one["status"], one["error"]) == ("FAILED", "The file is cut short.")
            assert await _text(client, "bee") == "Ok"
            assert (await client.get("/ready")).status_code == 200
            reply = await client.post(COMPLETIONS_PATH, json=body(model="ant"))
            assert "could not be started; an admin can restart it" in error_of(reply, 503)["message"]
            assert reply.headers["retry-after"] == "30"
            error = error_of(await client.put(f"{ENDPOINTS_PATH}/ant/restart"), 503)
            assert "cut short" in error["message"]
            broken.fail_with = None
            assert (await client.put(f"{ENDPOINTS_PATH}/ant/restart")).json()["status"] == "RUNNING"
            await _text(client, "ant")
            error_of(await client.put(f"{ENDPOINTS_PATH}/ant/restart"), 409)

    asyncio.run(main())


def test_when_none_can_start_the_start_fails_with_the_first_ones_sentence() -> None:
    async def main() -> None:
        engines = {name: FakeEngine() for name in ("ant", "bee")}
        for name, engine in engines.items():
            engine.fail_with = ModelError(f"{name} is no model.")
        with pytest.raises(ModelError, match="ant is no model"):
            async with several(engines):
                pass

    asyncio.run(main())


def test_a_sleeping_one_wakes_for_a_request_with_the_adapters_that_it_had() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        before = await server.text("demo:pirate")
        assert (await server.client.put(f"{DEMO}/sleep")).json()["status"] == "SLEEPING"
        assert not server.engine.ready
        assert (await server.client.get("/ready")).status_code == 200
        assert await server.text("demo:pirate") == before
        assert await _status(server.client) == "RUNNING"
        assert (await server.client.put(f"{DEMO}/sleep")).status_code == 200
        assert (await server.client.put(f"{DEMO}/sleep")).status_code == 200
        assert (await server.client.put(f"{DEMO}/wake")).json()["status"] == "RUNNING"

    play(scenario)


def test_requests_that_come_while_it_wakes_are_held_and_it_wakes_once() -> None:
    class Slow(FakeEngine):
        starts = 0

        async def start(self) -> None:
            self.starts += 1
            await may_start.wait()
            await super().start()

    may_start = asyncio.Event()

    async def main() -> None:
        engine = Slow(script=says("Ok"))
        may_start.set()
        async with several({"demo": engine}) as client:
            await client.put(f"{DEMO}/sleep")
            may_start.clear()
            asked = [asyncio.create_task(_text(client, "demo")) for _ in range(3)]
            await until(lambda: engine.starts == 2)
            assert await _status(client) == "AWAKING"
            may_start.set()
            assert [await each for each in asked] == ["Ok"] * 3
            assert engine.starts == 2

    asyncio.run(main())


def test_one_that_cannot_be_woken_has_failed_and_says_so() -> None:
    async def scenario(server: Server) -> None:
        await server.client.put(f"{DEMO}/sleep")
        server.engine.fail_with = ModelError("The file is gone.")
        error_of(await server.post(), 503)
        shown = (await server.client.get(DEMO)).json()
        assert (shown["status"], shown["error"]) == ("FAILED", "The file is gone.")

    play(scenario)


def test_it_falls_asleep_when_nobody_asks_and_not_before() -> None:
    async def main() -> None:
        engine = FakeEngine()
        async with several({"demo": engine}, EndpointSettings(sleep_after_seconds=0.01)) as client:
            engine.stall()
            asked = asyncio.create_task(_text(client, "demo"))
            await until(lambda: bool(engine.live))
            await asyncio.sleep(0.05)
            assert await _status(client) == "RUNNING"
            engine.resume()
            await asked
            await until(lambda: not engine.ready)
            assert await _status(client) == "SLEEPING"
            await _text(client, "demo")

    asyncio.run(main())


def test_one_with_requests_is_not_put_to_sleep() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        asked = asyncio.create_task(server.text())
        await until(lambda: bool(server.engine.live))
        assert "has 1 requests" in error_of(await server.client.put(f"{DEMO}/sleep"), 409)["message"]
        server.engine.resume()
        await asked
        assert (await server.client.put(f"{DEMO}/sleep")).status_code == 200

    play(scenario)


def test_adding_an_adapter_wakes_it() -> None:
    async def scenario(server: Server) -> None:
        await server.client.put(f"{DEMO}/sleep")
        assert (await server.put("pirate", "a")).status_code == 201
        assert await _status(server.client) == "RUNNING"

    play(scenario)
