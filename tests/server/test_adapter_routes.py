"""A route leads to its adapter of the moment, and a request keeps the one that it began with."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from server_kit import ADAPTERS, Server, body, byte_tokenizer, events, play, play_on_socket, until

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import COMPLETIONS_PATH

if TYPE_CHECKING:
    from friendli_endpoint.text import Tokenizer


class StrictEngine(FakeEngine):
    """Fails the test when an adapter is dropped that a request still uses."""

    def drop_adapter(self, key: str) -> None:
        users = [request.id for request in self.submitted if request.adapter == key and request.id in self.live]
        assert not users, f"{key} was dropped under {users}"
        super().drop_adapter(key)


def test_each_route_answers_in_its_own_way_and_the_base_in_the_base_models() -> None:
    async def scenario(server: Server) -> None:
        base = await server.text()
        await server.put("pirate", "a")
        await server.put("legal", "b")
        texts = [await server.text(model) for model in ("demo", "demo:pirate", "demo:legal", "demo:pirate")]
        assert texts[0] == base
        assert texts[1] == texts[3]
        assert len(set(texts)) == 3
        assert [request.adapter for request in server.engine.submitted[1:]] == [None, "pirate@1", "legal@2", "pirate@1"]

    play(scenario)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("agent", ["curl/8", "speakeasy-sdk/python 0.3.0 2 0.3.0 friendli"])
def test_a_reply_names_the_endpoint_alone(stream: bool, agent: str) -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        reply = await server.post({"User-Agent": agent}, model="demo:pirate", stream=stream)
        for each in events(reply.text) if stream else [reply.json()]:
            assert each.get("model", "demo") == "demo"
        assert "pirate" not in reply.text

    play(scenario)


def test_an_unknown_route_is_told_the_known_ones_but_not_more_than_twenty() -> None:
    async def scenario(server: Server) -> None:
        async def told(model: str) -> str:
            reply = await server.post(model=model)
            assert (reply.status_code, reply.json()["error"]["field"]) == (404, "model")
            return reply.json()["error"]["message"]

        assert await told("demo:x") == "There is no adapter 'x'; known adapters: none."
        for number in range(20):
            await server.put(f"r{number:02}", "a")
        all_twenty = ", ".join(f"r{number:02}" for number in range(20))
        assert await told("demo:") == f"There is no adapter ''; known adapters: {all_twenty}."
        for number in range(20, 23):
            await server.put(f"r{number}", "a")
        assert await told("demo:R00") == f"There is no adapter 'R00'; known adapters: {all_twenty} and 3 more."
        assert len(await told("demo:" + "x" * 100_000)) < 300
        assert "\x1b" not in await told("demo:r00\x1b")
        assert "'r00:r01'" in await told("demo:r00:r01")
        assert not server.engine.submitted

    play(scenario)


def test_a_replaced_adapter_stays_for_its_requests_and_is_dropped_after_the_last_of_them() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "old")
        old = await server.text("demo:pirate")
        server.engine.stall()
        running = [asyncio.create_task(server.text("demo:pirate")) for _ in range(2)]
        await until(lambda: len(server.engine.live) == 2)
        assert (await server.put("pirate", "new")).status_code == 200
        late = asyncio.create_task(server.text("demo:pirate"))
        await until(lambda: len(server.engine.live) == 3)
        assert server.engine.adapters == {"pirate@1": "old", "pirate@2": "new"}
        server.engine.resume()
        assert [await task for task in running] == [old, old]
        assert await late not in ("", old)
        await until(lambda: server.engine.dropped == ["pirate@1"])

    play(scenario, StrictEngine())


def test_an_adapter_that_nobody_uses_is_dropped_when_it_is_replaced() -> None:
    async def scenario(server: Server) -> None:
        for source in ("a", "b", "c"):
            await server.put("pirate", source)
        assert server.engine.dropped == ["pirate@1", "pirate@2"]
        assert server.engine.adapters == {"pirate@3": "c"}

    play(scenario)


def test_a_removed_route_is_gone_at_once_and_the_answer_waits_for_its_requests() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        text = await server.text("demo:pirate")
        server.engine.stall()
        running = asyncio.create_task(server.text("demo:pirate"))
        await until(lambda: len(server.engine.live) == 1)
        removing = asyncio.create_task(server.remove("pirate"))
        while (reply := await server.post(model="demo:pirate", prompt="x" * 600)).status_code != 404:
            assert reply.status_code == 422
        assert await server.routes() == {}
        assert not removing.done()
        server.engine.resume()
        assert await running == text
        assert (await removing).status_code == 204
        assert server.engine.dropped == ["pirate@1"]

    play(scenario, StrictEngine())


def test_removing_waits_for_requests_of_adapters_that_were_replaced_before_but_not_for_those_of_a_new_one() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        server.engine.stall()
        running = asyncio.create_task(server.text("demo:pirate"))
        await until(lambda: len(server.engine.live) == 1)
        await server.put("pirate", "b")
        removing = asyncio.create_task(server.remove("pirate"))
        await until(lambda: server.engine.dropped == ["pirate@2"])
        assert (await server.put("pirate", "c")).status_code == 201
        assert not removing.done()
        server.engine.resume()
        await running
        assert (await removing).status_code == 204
        assert server.engine.adapters == {"pirate@3": "c"}

    play(scenario)


def test_a_request_holds_its_adapter_while_it_is_tokenized(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        text = await server.text("demo:pirate")
        loop, reached, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        encode = type(tokenizer).encode

        def slow(self: Tokenizer, text: str) -> list[int]:
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return encode(self, text)

        monkeypatch.setattr(type(tokenizer), "encode", slow)
        asked = asyncio.create_task(server.text("demo:pirate"))
        await reached.wait()
        await server.put("pirate", "b")
        assert server.engine.dropped == []
        go_on.set()
        assert await asked == text
        await until(lambda: server.engine.dropped == ["pirate@1"])

    tokenizer = byte_tokenizer()
    play(scenario)


def test_a_refused_request_holds_nothing() -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        for fields in ({"n": 0}, {"prompt": "x" * 600}, {"tokens": [1]}, {"max_tokens": 10_000}):
            assert (await server.post(model="demo:pirate", **fields)).status_code == 422
        assert (await server.client.get(f"{ADAPTERS}/pirate")).json()["requests"] == 0

    play(scenario)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_a_client_that_leaves_lets_its_adapter_go(stream: bool) -> None:
    async def scenario(server: Server) -> None:
        await server.put("pirate", "a")
        server.engine.stall()
        address = urlsplit(server.url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        content = json.dumps(body(model="demo:pirate", stream=stream)).encode()
        head = f"POST {COMPLETIONS_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await until(lambda: bool(server.engine.live))
        assert (await server.client.get(f"{ADAPTERS}/pirate")).json()["requests"] == 1
        removing = asyncio.create_task(server.remove("pirate"))
        writer.transport.abort()
        assert (await removing).status_code == 204

    play_on_socket(scenario, StrictEngine())


def test_two_hundred_changes_beside_running_requests_fail_and_change_none() -> None:
    sources, names = ["a", "b", "c"], ["r1", "r2", "r3", "r4"]
    dice = random.Random(20)  # noqa: S311 - no secret
    history: dict[str, list[str | None]] = {name: [None] for name in names}
    """What each route has led to, None for nothing; the last entry may still be on its way."""
    changing: set[str] = set()
    finished: list[str | None] = []

    async def change(server: Server, name: str) -> None:
        for _ in range(50):
            before, after = history[name][-1], dice.choice([*sources, None])
            changing.add(name)
            history[name].append(after)
            if after is not None:
                assert (await server.put(name, after)).status_code == (201 if before is None else 200)
            else:
                assert (await server.remove(name)).status_code == (404 if before is None else 204)
            changing.remove(name)

    async def ask(server: Server, changers: list[asyncio.Task[None]], expected: dict[str | None, str]) -> None:
        while not all(changer.done() for changer in changers):
            name = dice.choice(names)
            earliest = len(history[name]) - 1 - (name in changing)
            reply = await server.post(model=f"demo:{name}", max_tokens=12)
            possible = history[name][earliest:]
            if reply.status_code == 404:
                assert None in possible
            else:
                assert reply.status_code == 200
                text = reply.json()["choices"][0]["text"]
                assert text in [expected[source] for source in possible if source]
                finished.append(text)

    async def scenario(server: Server) -> None:
        expected: dict[str | None, str] = {}
        for source in sources:
            await server.put("alone", source)
            expected[source] = await server.text("demo:alone", max_tokens=12)
        await server.remove("alone")
        changers = [asyncio.create_task(change(server, name)) for name in names]
        await asyncio.gather(*changers, *(ask(server, changers, expected) for _ in range(6)))
        assert set(finished) == set(expected.values())
        assert await server.routes() == {name: past[-1] for name, past in history.items() if past[-1]}
        await until(lambda: len(server.engine.adapters) == sum(past[-1] is not None for past in history.values()))

    play(scenario, StrictEngine())
