"""What one team uses up is no other team's loss, over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
from server_kit import Server, deployment_of, error_of, service_with, settings, until

from friendli_endpoint.config import TeamSettings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import create_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def play(
    scenario: Callable[[Server], Awaitable[None]], *, max_requests: int = 256, max_rows: int = 64, **teams: TeamSettings
) -> None:
    """Run `scenario` against the application with these limits of teams."""

    async def main() -> None:
        engine = FakeEngine()
        server = settings(max_requests=max_requests)
        service = service_with(deployment_of(engine), server, teams=teams, max_rows=max_rows)
        await service.endpoints.start()
        transport = httpx2.ASGITransport(create_app(service))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await scenario(Server(engine, client))

    asyncio.run(main())


async def post(server: Server, team: str, **fields: object) -> httpx2.Response:
    return await server.post(headers={"X-Friendli-Team": team}, **fields)


async def flood(server: Server, number: int) -> list[asyncio.Task[httpx2.Response]]:
    """So many requests of a team, the first ones in an engine that stands still."""
    server.engine.stall()
    tasks = [asyncio.create_task(post(server, "flood")) for _ in range(number)]
    await until(lambda: len(server.engine.live) == min(number, 5))
    return tasks


async def until_waiting(server: Server, number: int) -> None:
    async with asyncio.timeout(20):
        while (await server.client.get("/dedicated/v1/endpoints/demo")).json()["waiting"] != number:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)


def test_a_flooded_server_keeps_the_places_that_are_given_back_for_the_team_that_was_refused() -> None:
    async def scenario(server: Server) -> None:
        flooding = await flood(server, 4)
        assert "All 4 places are taken" in error_of(await post(server, "small"), 429)["message"]
        flooding.pop().cancel()
        await until(lambda: len(server.engine.live) == 3)
        refused = await post(server, "flood")
        assert "its share of the 4 places" in error_of(refused, 429)["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        small = asyncio.create_task(post(server, "small"))
        await until(lambda: len(server.engine.live) == 4)
        server.engine.resume()
        assert [(await task).status_code for task in (small, *flooding)] == [200] * 4

    play(scenario, max_requests=4)


def test_a_team_may_have_so_many_requests_at_once_and_others_more() -> None:
    async def scenario(server: Server) -> None:
        flooding = await flood(server, 2)
        assert "2 requests here" in error_of(await post(server, "flood"), 429)["message"]
        server.engine.resume()
        assert (await post(server, "small")).status_code == 200
        assert [(await task).status_code for task in flooding] == [200, 200]
        assert (await post(server, "flood")).status_code == 200

    play(scenario, flood=TeamSettings(max_requests=2))


def test_the_requests_of_a_minute_are_counted() -> None:
    async def scenario(server: Server) -> None:
        for _ in range(3):
            assert (await post(server, "acme")).status_code == 200
        refused = await post(server, "acme")
        assert "requests of this minute" in error_of(refused, 429)["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert (await post(server, "other")).status_code == 200

    play(scenario, acme=TeamSettings(requests_per_minute=3))


def test_the_tokens_of_a_minute_are_counted_with_their_prompts() -> None:
    async def scenario(server: Server) -> None:
        reply = await post(server, "acme", max_tokens=8)
        used = reply.json()["usage"]["total_tokens"]
        refused = await post(server, "acme", max_tokens=8)
        assert "tokens of this minute" in error_of(refused, 429)["message"]
        assert 60 * (used - 5) / 5 <= int(refused.headers["retry-after"]) <= 60 * (used - 4) / 5
        assert (await post(server, "other")).status_code == 200

    play(scenario, acme=TeamSettings(tokens_per_minute=5))


def test_the_limits_of_the_default_team_are_those_of_every_team_without_a_table() -> None:
    async def scenario(server: Server) -> None:
        for team in ("one", "two"):
            assert (await post(server, team)).status_code == 200
            error_of(await post(server, team), 429)
        for _ in range(2):
            assert (await post(server, "acme")).status_code == 200

    play(scenario, default=TeamSettings(requests_per_minute=1), acme=TeamSettings())


def test_a_team_with_a_backlog_does_not_keep_another_from_the_engine() -> None:
    async def scenario(server: Server) -> None:
        flooding = await flood(server, 20)
        await until_waiting(server, 15)
        small = asyncio.create_task(post(server, "small"))
        await until_waiting(server, 16)
        server.engine.resume()
        assert [(await task).status_code for task in (small, *flooding)] == [200] * 21
        assert [request.scope for request in server.engine.submitted][5] == "small"

    play(scenario, max_rows=1)
