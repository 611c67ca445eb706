"""Lines for the log: who was refused and who changed what, unforgeable, without secrets, and not without end."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from auth_kit import ask, guarded, shows

from friendli_endpoint.access import Identity, TokenStore
from friendli_endpoint.server import audit
from friendli_endpoint.server.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    """Time that a test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TokenStore]:
    with closing(TokenStore.open(tmp_path / "state")) as store:
        yield store


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """No test is short of lines because of those before it."""
    for name in ("_strangers", "_callers"):
        monkeypatch.setattr(audit, name, audit.Flood())
    caplog.set_level(logging.INFO, audit.LOGGER)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == audit.LOGGER]


def test_a_refused_token_is_noted_by_its_prefix_alone(store: TokenStore, caplog: pytest.LogCaptureFixture) -> None:
    text, token = store.create(scopes=["complete"])
    store.revoke(text)
    reply = ask(guarded(store), "POST", "/complete", shows(text))
    (line,) = lines(caplog)
    assert line["request_id"] == reply.headers["x-request-id"]
    assert (line["refused"], line["reason"], line["token"]) == ("token", "not valid", token.prefix)
    assert (line["method"], line["path"], line["client"]) == ("POST", "/complete", "127.0.0.1")
    assert text[13:] not in caplog.text


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "none"),
        ([("Authorization", "Basic c2VjcmV0")], "malformed"),
        ([shows("secret one")], "malformed"),
        ([shows("a"), shows("secret")], "malformed"),
        ([shows("flp_secret")], "not valid"),
    ],
)
def test_why_a_token_was_refused_is_noted_and_nothing_of_what_is_not_ours(
    store: TokenStore, caplog: pytest.LogCaptureFixture, headers: list[tuple[str, str]], reason: str
) -> None:
    store.create(scopes=["complete"])
    ask(guarded(store), "GET", "/any", *headers)
    (line,) = lines(caplog)
    assert line["reason"] == reason
    assert "token" not in line
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("path", "team", "noted"),
    [
        ("/unlisted", "a", {"refused": "scope", "needed": "admin"}),
        ("/any", "b", {"refused": "team", "asked": "b"}),
        ("/things/other", "a", {"refused": "endpoint", "endpoint": "other"}),
    ],
)
def test_a_refused_scope_team_or_endpoint_is_noted_with_the_token(
    store: TokenStore, caplog: pytest.LogCaptureFixture, path: str, team: str, noted: dict[str, str]
) -> None:
    text, token = store.create(scopes=["complete"], teams=["a"], endpoints=["demo"])
    assert ask(guarded(store), "GET", path, shows(text), ("X-Friendli-Team", team)).status_code == 403
    (line,) = lines(caplog)
    assert noted.items() <= line.items()
    assert (line["token"], line["team"]) == (token.prefix, "a")


def test_a_page_at_an_open_server_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    ask(guarded(), "GET", "/any", host="evil.example")
    ask(guarded(), "GET", "/any", ("Origin", "https://evil.example"))
    assert [(line["refused"], line.get("host"), line.get("origin")) for line in lines(caplog)] == [
        ("page", "evil.example", None),
        ("page", None, "https://evil.example"),
    ]


def test_no_value_can_begin_a_line_of_its_own(store: TokenStore, caplog: pytest.LogCaptureFixture) -> None:
    store.create(scopes=["complete"])
    ask(guarded(store), "GET", "/any%0d%0a%1b[31m%e2%80%a8%c2%85%22%00{}")
    (record,) = [record for record in caplog.records if record.name == audit.LOGGER]
    message = record.getMessage()
    assert message.isascii()
    assert message.isprintable()
    assert json.loads(message)["path"] == '/any\r\n\x1b[31m\u2028\x85"\0{}'


def test_a_long_value_is_cut(store: TokenStore, caplog: pytest.LogCaptureFixture) -> None:
    store.create(scopes=["complete"])
    ask(guarded(store), "GET", "/" + "x" * 5000)
    assert len(lines(caplog)[0]["path"]) == 200


def test_a_flood_is_a_few_lines_a_second_and_the_rest_is_counted() -> None:
    clock = Clock()
    flood = audit.Flood(3, clock)
    assert [flood.admit() for _ in range(10)] == [0, 0, 0, *[None] * 7]
    clock.now += 1
    assert [flood.admit() for _ in range(4)] == [7, 0, 0, None]
    clock.now += 1
    assert flood.admit() == 1


def test_strangers_cannot_hide_what_callers_try(store: TokenStore, caplog: pytest.LogCaptureFixture) -> None:
    text, _ = store.create(scopes=["complete"])
    app = guarded(store)
    for _ in range(50):
        ask(app, "GET", "/any")
    ask(app, "GET", "/unlisted", shows(text))
    assert lines(caplog)[-1]["refused"] == "scope"


def test_a_change_is_noted_with_who_made_it_and_how_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    identity = Identity(name="flp_Ab3dE6gH", scopes=frozenset({"admin"}))
    scope = {
        "method": "PUT",
        "path": "/dedicated/v1/endpoints/demo/adapters/pirate",
        "request_id": "req-1",
        "client": ("127.0.0.1", 5000),
        "caller": Caller(identity=identity, team="acme"),
    }
    audit.change(scope, "adapter put", endpoint="demo", route="pirate", source="a\nb", outcome="done")
    (line,) = lines(caplog)
    assert line == {
        "change": "adapter put",
        "token": "flp_Ab3dE6gH",
        "team": "acme",
        "endpoint": "demo",
        "route": "pirate",
        "source": "a\nb",
        "outcome": "done",
        "method": "PUT",
        "path": "/dedicated/v1/endpoints/demo/adapters/pirate",
        "client": "127.0.0.1",
        "request_id": "req-1",
    }
