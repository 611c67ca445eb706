"""A request that gives itself a time is answered 429 when it is over, and its place is free, wherever it is."""

from __future__ import annotations

import asyncio
import json

import pytest
from server_kit import Server, body, play, play_on_socket, says, until

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.app import COMPLETIONS_PATH

SOON = {"timeout_microseconds": 50_000}


def _is_timeout(error: dict[str, object]) -> bool:
    return (error["type"], error["field"]) == ("timeout", "timeout_microseconds")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("fields", [{}, {"n": 3}, {"prompt": ["a", "b"]}], ids=["one", "n", "prompts"])
def test_a_request_that_is_not_done_in_time(stream: bool, fields: dict[str, object]) -> None:
    """The engine has it but never moves: it waits, reads its prompt, or has its grammar compiled."""

    async def scenario(server: Server) -> None:
        server.engine.stall()
        reply = await server.post(stream=stream, **SOON, **fields)
        assert reply.status_code == 429
        assert "retry-after" not in reply.headers
        assert reply.headers["x-should-retry"] == "false"
        assert _is_timeout(reply.json()["error"])
        assert "timeout_microseconds" in reply.json()["error"]["message"]
        assert not server.engine.live
        assert server.engine.aborted == [(request.id, None) for request in server.engine.submitted]
        server.engine.resume()
        assert (await server.post()).status_code == 200

    play(scenario, max_requests=1)


def test_a_request_that_waits_for_a_row_leaves_the_queue() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        first = asyncio.create_task(server.post())
        await until(lambda: bool(server.engine.live))
        assert (await server.post(**SOON)).status_code == 429
        assert list(server.engine.live) == [server.engine.submitted[0].id]
        server.engine.resume()
        assert (await first).status_code == 200

    play(scenario, FakeEngine(rows=1))


def test_a_stream_that_has_begun_ends_with_the_error() -> None:
    async def scenario(server: Server) -> None:
        fields = body(stream=True, max_tokens=400, timeout_microseconds=1_000_000)
        async with server.client.stream("POST", COMPLETIONS_PATH, json=fields) as reply:
            assert reply.status_code == 200
            lines = reply.aiter_lines()
            await anext(lines)
            server.engine.stall()
            *_, last = [line async for line in lines if line]
        assert _is_timeout(json.loads(last.removeprefix("data: "))["error"])
        assert not server.engine.live

    play_on_socket(scenario, FakeEngine(script=says("x" * 400), step_seconds=0.01))


def test_a_time_that_is_over_at_once_never_reaches_the_engine() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post(timeout_microseconds=1)).status_code == 429
        assert not server.engine.submitted

    play(scenario)


def test_a_time_that_suffices_changes_nothing() -> None:
    async def scenario(server: Server) -> None:
        for stream in (True, False):
            plain = await server.post(stream=stream, n=2)
            timed = await server.post(stream=stream, n=2, timeout_microseconds=2**31 - 1)
            assert timed.status_code == 200
            assert timed.text.count('"text"') == plain.text.count('"text"')
        assert not server.engine.aborted

    play(scenario, FakeEngine(script=says("Hello.")))


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_what_only_the_engine_finds_wrong_is_a_422_that_names_the_field(stream: bool) -> None:
    """A grammar that cannot be compiled, say."""

    async def scenario(server: Server) -> None:
        server.engine.fail_with = RequestError("The schema recurses.", field="response_format")
        reply = await server.post(stream=stream, response_format={"type": "json_object"})
        assert reply.status_code == 422
        error = reply.json()["error"]
        assert (error["message"], error["field"]) == ("The schema recurses.", "response_format")

    play(scenario)


def test_in_a_stream_that_has_begun_it_is_the_last_event() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(stream=True)) as reply:
            lines = reply.aiter_lines()
            assert await anext(lines) == ": waiting"
            server.engine.fail_with = RequestError("The schema recurses.", field="response_format")
            server.engine.resume()
            *_, last = [line async for line in lines if line]
        error = json.loads(last.removeprefix("data: "))["error"]
        assert (error["type"], error["field"]) == ("invalid_request", "response_format")

    play_on_socket(scenario, heartbeat_seconds=0.01)
