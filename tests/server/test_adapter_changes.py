"""Changes of adapters that fail, meet each other, are left alone by their clients, or come when the server stops."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from server_kit import ADAPTERS, Server, error_of, find_adapter, in_process, on_socket, play, play_on_socket, until

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import AdapterError, EngineError, ModelError
from friendli_endpoint.server.routes import Routes

ENDPOINT = ADAPTERS.removesuffix("/adapters")


def test_an_adapter_that_cannot_be_had_leaves_the_old_one() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        text = await server.text("demo:pirate")
        for source, refusal, status, field in (
            ("no-such", None, 422, "source"),
            ("b", AdapterError("use_dora is not supported"), 422, "source"),
            ("b", EngineError("the engine is restarting"), 503, None),
            ("b", ZeroDivisionError("secret"), 500, None),
        ):
            server.engine.refuse_adapters_with = refusal
            error = error_of(await server.put("pirate", source), status)
            assert error["field"] == field
            if status != 500:
                assert error["message"] == str(refusal or "there is no adapter called no-such")
            error_of(await server.put("fresh", source), status)
        server.engine.refuse_adapters_with = None
        assert await server.routes() == {"pirate": "a"}
        assert await server.text("demo:pirate") == text
        assert server.engine.adapters == {"pirate@1": "a"}

    play(scenario)


def test_there_are_no_more_routes_than_are_allowed_and_failures_take_no_room() -> None:
    async def scenario(server: Server) -> None:
        error_of(await server.put("x", "no-such"), 422)
        server.engine.stall_adapters()
        first = [asyncio.create_task(server.put(route, "a")) for route in ("a", "b")]
        await until(lambda: len(server.engine.adding) == 2)
        error = error_of(await server.put("c", "a"), 409)
        assert (error["type"], error["field"]) == ("conflict", None)
        assert "2 adapters" in error["message"]
        server.engine.resume_adapters()
        assert [(await each).status_code for each in first] == [201, 201]
        assert (await server.put("a", "b")).status_code == 200
        error_of(await server.put("c", "a"), 409)
        await server.remove("a")
        assert (await server.put("c", "a")).status_code == 201

    play(scenario, served={"max_adapters": 2})


def test_changes_of_one_route_are_made_in_the_order_of_their_arrival() -> None:
    async def main() -> None:
        engine = FakeEngine()
        routes = Routes(engine, find_adapter, most=1)
        engine.stall_adapters()
        changes = [routes.put("r", "a"), routes.remove("r"), routes.put("r", "b"), routes.put("r", "c")]
        tasks = [asyncio.create_task(change) for change in changes]
        await until(lambda: bool(engine.adding))
        assert engine.adding == {"r@1"}
        engine.resume_adapters()
        first, _, second, third = [await task for task in tasks]
        assert [new for _, new in (first, second, third)] == [True, True, False]
        assert [served.source for served in routes.all()] == ["c"]
        assert (engine.dropped, engine.adapters) == (["r@1", "r@2"], {"r@3": "c"})

    asyncio.run(main())


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_removing_waits_for_requests_with_an_adapter_that_was_replaced_too(order: tuple[int, int]) -> None:
    async def main() -> None:
        routes = Routes(FakeEngine(), find_adapter, most=1)
        requests = [ExitStack(), ExitStack()]
        for source, request in zip("ab", requests, strict=True):
            served, _ = await routes.put("r", source)
            request.enter_context(routes.hold(served))
        removing = asyncio.create_task(routes.remove("r"))
        await until(lambda: not routes.all())
        for number in order:
            for _ in range(5):
                await asyncio.sleep(0)
            assert not removing.done()
            requests[number].close()
        await removing

    asyncio.run(main())


async def _send(server: Server, method: str, route: str, **members: object) -> asyncio.StreamWriter:
    """A call over a connection of its own, which can be left."""
    address = urlsplit(server.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    content = json.dumps(members).encode()
    head = f"{method} {ADAPTERS}/{route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    await writer.drain()
    return writer


@pytest.mark.parametrize("routes", [{}, {"pirate": "a"}], ids=["new", "replaced"])
def test_leaving_while_an_adapter_is_added_leaves_everything_as_it_was(routes: dict[str, str]) -> None:
    async def scenario(server: Server) -> None:
        for route, source in routes.items():
            await server.put(route, source)
        before = dict(server.engine.adapters)
        server.engine.stall_adapters()
        writer = await _send(server, "PUT", "pirate", source="b")
        await until(lambda: bool(server.engine.adding))
        writer.transport.abort()
        await until(lambda: not server.engine.adding)
        server.engine.resume_adapters()
        assert await server.routes() == routes
        assert server.engine.adapters == before
        assert (await server.put("pirate", "c")).status_code == (200 if routes else 201)

    play_on_socket(scenario, served={"max_adapters": 1})


def test_leaving_after_the_engine_has_added_the_adapter_drops_it() -> None:
    class LateEngine(FakeEngine):
        async def add_adapter(self, key: str, path: str):
            card = await super().add_adapter(key, path)
            await asyncio.Event().wait()
            return card

    async def scenario(server: Server) -> None:
        writer = await _send(server, "PUT", "pirate", source="a")
        await until(lambda: bool(server.engine.adapters))
        writer.transport.abort()
        await until(lambda: server.engine.dropped == ["pirate@1"])
        assert await server.routes() == {}

    play_on_socket(scenario, LateEngine())


def test_leaving_while_a_route_is_removed_does_not_bring_it_back() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        server.engine.stall()
        running = asyncio.create_task(server.text("demo:pirate"))
        await until(lambda: bool(server.engine.live))
        writer = await _send(server, "DELETE", "pirate")
        while await server.routes():
            pass
        writer.transport.abort()
        server.engine.resume()
        await running
        await until(lambda: server.engine.dropped == ["pirate@1"])
        assert await server.routes() == {}

    play_on_socket(scenario)


def test_a_source_that_takes_long_blocks_neither_requests_nor_other_routes() -> None:
    arrived = threading.Semaphore(0)
    go_on = threading.Event()

    def slow(source: str) -> Path:
        if source == "slow":
            arrived.release()
            assert go_on.wait(20)
        return find_adapter(source)

    async def scenario(server: Server) -> None:
        waiting = asyncio.create_task(server.put("a", "slow"))
        assert await asyncio.to_thread(arrived.acquire, timeout=20)
        assert (await server.post()).status_code == 200
        assert (await server.put("b", "quick")).status_code == 201
        assert (await server.client.get(f"{ADAPTERS}/a")).status_code == 404
        go_on.set()
        assert (await waiting).status_code == 201

    play(scenario, served={"resolve_adapter": slow})


def test_an_endpoint_that_has_failed_is_503_and_has_its_adapters_again_once_it_is_restarted() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        await server.client.put(f"{ENDPOINT}/sleep")
        server.engine.fail_with = ModelError("gone")
        for reply in (
            await server.client.put(f"{ENDPOINT}/wake"),
            await server.client.get(ADAPTERS),
            await server.client.get(f"{ADAPTERS}/pirate"),
            await server.put("pirate", "b"),
            await server.remove("pirate"),
        ):
            assert error_of(reply, 503)["type"] == "unavailable"
            assert int(reply.headers["retry-after"]) >= 1
        server.engine.fail_with = None
        assert (await server.client.put(f"{ENDPOINT}/restart")).status_code == 200
        assert await server.routes() == {"pirate": "a"}

    play(scenario)


def test_a_server_that_stops_lets_changes_finish_and_takes_no_new_ones() -> None:
    async def main() -> None:
        async with on_socket(drain_seconds=20) as server:
            await server.put("pirate", "a")
            server.engine.stall()
            server.engine.stall_adapters()
            running = asyncio.create_task(server.text("demo:pirate"))
            await until(lambda: bool(server.engine.live))
            adding = asyncio.create_task(server.put("legal", "b"))
            await until(lambda: bool(server.engine.adding))
            removing = asyncio.create_task(server.remove("pirate"))
            while await server.routes():
                pass
            server.stop.ask()
            while (reply := await server.client.get(ADAPTERS)).status_code == 200:
                pass
            error_of(reply, 503)
            error_of(await server.put("other", "a"), 503)
            server.engine.resume()
            await running
            assert (await removing).status_code == 204
            error_of(await server.client.get(ADAPTERS), 503)  # the server is still there for who adds
            server.engine.resume_adapters()
            assert (await adding).status_code == 201

    asyncio.run(main())


@pytest.mark.parametrize("where", ["source", "engine", "requests"])
def test_a_change_that_does_not_finish_does_not_hold_up_the_stop(where: str) -> None:
    held, reached = threading.Event(), threading.Event()

    def endless(source: str) -> Path:
        if where == "source":
            reached.set()
            held.wait(20)
        return Path(source)

    async def main() -> None:
        served = {"resolve_adapter": endless}
        async with on_socket(served=served, drain_seconds=0.01) as server:
            if where == "requests":
                await server.put("pirate", "a")
                server.engine.stall()
                running = asyncio.create_task(server.post(model="demo:pirate"))
                await until(lambda: bool(server.engine.live))
                change = asyncio.create_task(server.remove("pirate"))
                while await server.routes():
                    pass
            else:
                server.engine.stall_adapters()
                change = asyncio.create_task(server.put("pirate", "a"))
                await until(lambda: reached.is_set() or bool(server.engine.adding))
            server.stop.ask()
            error_of(await change, 503)
            if where == "requests":
                error_of(await running, 503)
        assert not held.is_set()
        held.set()

    asyncio.run(main())


def test_changes_find_room_when_completions_find_none() -> None:
    async def main() -> None:
        async with in_process(max_requests=1) as server:
            server.engine.stall()
            running = asyncio.create_task(server.text())
            await until(lambda: bool(server.engine.live))
            assert (await server.post()).status_code == 429
            assert (await server.put("pirate", "a")).status_code == 201
            server.engine.stall_adapters()
            adding = asyncio.create_task(server.put("pirate", "b"))
            await until(lambda: bool(server.engine.adding))
            assert error_of(await server.remove("pirate"), 429)["type"] == "overloaded"
            server.engine.resume()
            server.engine.resume_adapters()
            await asyncio.gather(running, adding)

    asyncio.run(main())
