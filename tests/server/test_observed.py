"""The whole server, watched: its metrics and lines agree with what its clients were answered."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from server_kit import COMPLETIONS_PATH, body, play, play_on_socket, says, until
from telemetry_kit import read

from friendli_endpoint.config import TokenHash
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.telemetry import configured_logging

if TYPE_CHECKING:
    from server_kit import Server

BASE = "{adapter=-,endpoint=demo}"


async def metrics(server: Server) -> dict[str, float]:
    return read((await server.client.get("/metrics")).text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_is_seen_whole(stream: bool) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(stream=stream, prompt="Hello", n=2)
        assert reply.status_code == 200
        told = await metrics(server)
        tokens = {
            kind: told[f"friendli_tokens_total{{adapter=-,endpoint=demo,kind={kind}}}"]
            for kind in ("prompt", "completion")
        }
        assert tokens == {"prompt": 5, "completion": 8}
        assert told["friendli_requests_total"] == told["friendli_responses_total"] == 1
        assert told["friendli_items_total"] == 2
        for name in ("request_duration", "time_to_first_token", "queue"):
            assert told[f"friendli_{name}_seconds_count{BASE}"] == 1, name
        assert told["friendli_endpoint_state{endpoint=demo,state=RUNNING}"] == 1
        assert told["friendli_engine_forwards_total{endpoint=demo}"] > 0
        assert told[f"friendli_http_responses_total{{method=POST,route={COMPLETIONS_PATH},status=200}}"] == 1

    play(scenario, FakeEngine(script=says("four")))


def test_an_adapter_s_requests_are_counted_under_its_route() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.put("pirate", "somewhere")).status_code == 201
        await server.text(model="demo:pirate")
        told = await metrics(server)
        assert told["friendli_request_outcomes_total{adapter=pirate,endpoint=demo,outcome=finished}"] == 1
        assert (await server.post(model="demo:unknown")).status_code == 404
        assert not [name for name in await metrics(server) if "unknown" in name]

    play(scenario)


def test_one_answer_for_two_is_charged_once_and_answered_twice() -> None:
    async def scenario(server: Server) -> None:
        key = {"Idempotency-Key": "again"}
        assert (await server.post(headers=key)).json()["choices"] == (await server.post(headers=key)).json()["choices"]
        told = await metrics(server)
        assert told["friendli_responses_total"] == 2
        assert told["friendli_tokens_total{adapter=-,endpoint=demo,kind=completion}"] == 4
        assert told["friendli_input_lengths_count"] == 1

    play(scenario, FakeEngine(script=says("four")))


def test_a_client_that_leaves_is_counted_and_has_a_line() -> None:
    stream = io.StringIO()

    async def scenario(server: Server) -> None:
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(stream=True, max_tokens=400)) as reply:
            await anext(reply.aiter_bytes())
            assert (await metrics(server))[f"friendli_requests_running{BASE}"] == 1
        await until(lambda: not server.engine.live)
        told = await metrics(server)
        while told[f"friendli_requests_running{BASE}"]:
            told = await metrics(server)
        assert told["friendli_failure_by_cancel"] == 1

    with configured_logging("json", stream):
        play_on_socket(scenario, FakeEngine(script=says("x" * 400), step_seconds=0.01))
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["outcome"], line["endpoint"], line["team"], line["stream"]) == ("left", "demo", "default", True)
    assert 0 < line["completion_tokens"] < 400


def test_a_stream_that_breaks_is_a_failure_though_its_status_was_good() -> None:
    async def scenario(server: Server) -> None:
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(stream=True, max_tokens=400)) as reply:
            chunks = reply.aiter_bytes()
            await anext(chunks)
            server.engine.fail_with = RuntimeError("broken")
            assert [chunk async for chunk in chunks]
        told = await metrics(server)
        assert told["friendli_request_outcomes_total{adapter=-,endpoint=demo,outcome=failed}"] == 1
        assert told[f"friendli_http_responses_total{{method=POST,route={COMPLETIONS_PATH},status=200}}"] == 1

    play_on_socket(scenario, FakeEngine(script=says("x" * 400), step_seconds=0.01))


def test_a_full_server_refuses_and_says_why() -> None:
    async def scenario(server: Server) -> None:
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(stream=True, max_tokens=400)) as reply:
            await anext(reply.aiter_bytes())
            assert (await server.post()).status_code == 429
            assert (await metrics(server))["friendli_refusals_total{endpoint=-,reason=overloaded}"] == 1

    play_on_socket(scenario, FakeEngine(script=says("x" * 400), step_seconds=0.01), max_requests=1)


def test_the_metrics_are_for_who_may_see_them() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.client.get("/metrics")).status_code == 401
        for token, status in (("plain", 403), ("admin", 200)):
            reply = await server.client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            assert reply.status_code == status, token

    play(scenario, tokens=(TokenHash.parse("plain"),), admin_tokens=(TokenHash.parse("admin"),))
