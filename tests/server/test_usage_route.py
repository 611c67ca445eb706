"""GET /dedicated/v1/usage: what is answered, to whom, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx2
import msgspec
import pytest

from friendli_endpoint.server.caller import Caller, Identity
from friendli_endpoint.server.errors import ErrorBoundary
from friendli_endpoint.server.usage import UsageRoute
from friendli_endpoint.usage import Ledger, UsageReport, Who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

PATH = "/dedicated/v1/usage"
ADMIN = Identity(name="admin", scopes=frozenset({"admin"}))
USER = Identity(name="flp_1234", scopes=frozenset({"complete"}), endpoints=frozenset({"demo", "more"}))
USED = [("acme", "demo", None), ("acme", "demo", "pirate"), ("acme", "secret", None), ("other", "demo", None)]
SOME_DAY = 1_790_000_000.0  # 2026-09-21


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    opened = Ledger.open(None, clock=lambda: SOME_DAY)

    async def use() -> None:
        for number, (team, endpoint, adapter) in enumerate(USED):
            entry = opened.begin(Who(request_id=f"{number}", team=team, token="t", endpoint=endpoint, adapter=adapter))
            entry.count(prompt=10**number, cached=0, completion=1)
            await entry.close("finished")

    asyncio.run(use())
    yield opened
    opened.close()


def get(ledger: Ledger, query: str = "", *, identity: Identity = ADMIN, team: str = "acme") -> httpx2.Response:
    """The route behind what every route is behind, asked by `identity` for `team`."""
    route = UsageRoute(ledger)

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await route(scope | {"caller": Caller(identity=identity, team=team)}, receive, send)

    async def main() -> httpx2.Response:
        transport = httpx2.ASGITransport(ErrorBoundary(called))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(PATH + query)

    return asyncio.run(main())


def test_an_admin_sees_everything_by_the_keys_that_it_asks_for(ledger: Ledger) -> None:
    reply = get(ledger, "?from=2026-09-21&to=2026-09-22&by=team,day")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")

    def numbers(requests: int, prompt: int) -> dict[str, int]:
        return {
            "requests": requests,
            "prompt_tokens": prompt,
            "cached_tokens": 0,
            "completion_tokens": requests,
            "total_tokens": prompt + requests,
        }

    assert reply.json() == {
        "object": "list",
        "from": "2026-09-21T00:00:00Z",
        "to": "2026-09-22T00:00:00Z",
        "by": ["team", "day"],
        "data": [
            {"team": "acme", "day": "2026-09-21", **numbers(3, 111)},
            {"team": "other", "day": "2026-09-21", **numbers(1, 1000)},
        ],
        "total": numbers(4, 1111),
    }


def test_an_adapter_is_null_for_the_model_itself(ledger: Ledger) -> None:
    data = get(ledger, "?by=adapter").json()["data"]
    assert [(total["adapter"], total["requests"]) for total in data] == [(None, 3), ("pirate", 1)]


def test_without_parameters_there_is_the_sum_of_everything(ledger: Ledger) -> None:
    told = get(ledger).json()
    assert (told["from"], told["to"], told["by"], told["data"]) == (None, None, [], [told["total"]])
    assert told["total"]["requests"] == 4


def test_where_nothing_was_used_the_sum_is_nought(ledger: Ledger) -> None:
    told = get(ledger, "?from=2027-01-01").json()
    assert (told["data"], told["total"]["requests"], told["total"]["total_tokens"]) == ([], 0, 0)


@pytest.mark.parametrize("query", ["?by=team,endpoint", "?by=team,endpoint&team=acme"])
def test_another_token_sees_its_team_on_the_endpoints_that_it_may_use(ledger: Ledger, query: str) -> None:
    told = get(ledger, query, identity=USER).json()
    assert [(total["team"], total["endpoint"], total["requests"]) for total in told["data"]] == [("acme", "demo", 2)]
    assert told["total"]["requests"] == 2


def test_the_team_is_the_one_that_the_request_runs_as(ledger: Ledger) -> None:
    assert get(ledger, identity=USER, team="other").json()["total"]["prompt_tokens"] == 1000
    assert get(ledger, "?team=acme", team="other").json()["total"]["requests"] == 3  # an admin's is no bound


@pytest.mark.parametrize(("query", "field"), [("?team=other", "team"), ("?endpoint=secret", "endpoint")])
def test_asking_for_what_is_not_ones_own_is_forbidden(ledger: Ledger, query: str, field: str) -> None:
    reply = get(ledger, query, identity=USER)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["field"]) == (403, "permission_denied", field)
    assert get(ledger, query).status_code == 200


WRONG = {
    "?until=2026-01-01": "until",
    "?from=today": "from",
    "?to=2026-13-01": "to",
    "?from=2026-02-01&to=2026-01-01": "to",
    "?by=user": "by",
    "?by=team&by=day": "by",
    "?team=": "team",
    "?endpoint": "endpoint",
    "?from=%00": "from",
    "?=": "",
}


@pytest.mark.parametrize(("query", "field"), WRONG.items())
def test_a_wrong_parameter_is_a_422_that_names_it(ledger: Ledger, query: str, field: str) -> None:
    reply = get(ledger, query)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)


@pytest.mark.parametrize("query", ["?team=%ff", "?" + "a=1&" * 30, "?team=%ed%a0%80"])
def test_a_query_that_cannot_be_read_is_a_422(ledger: Ledger, query: str) -> None:
    assert get(ledger, query).status_code == 422


def test_too_many_groups_are_a_422(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("friendli_endpoint.usage.totals.MOST_GROUPS", 1)
    reply = get(ledger, "?by=team")
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "by")


def test_a_ledger_that_cannot_be_read_is_a_503(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ledger._store, "totals", broken)
    reply = get(ledger)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


def test_the_answer_is_as_its_schema_says(ledger: Ledger) -> None:
    reply = get(ledger, "?by=adapter,day")
    assert json.loads(msgspec.json.encode(msgspec.json.decode(reply.content, type=UsageReport))) == reply.json()
    (schema,), components = msgspec.json.schema_components([UsageReport])
    required = components["UsageReport"]["required"]
    assert schema == {"$ref": "#/$defs/UsageReport"}
    assert set(required) <= set(reply.json())
