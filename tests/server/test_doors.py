"""What a good token opens: scopes, endpoints, teams; and that nothing else is open."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from auth_kit import ask, guarded, shows
from server_kit import error_of

from friendli_endpoint.access import TokenStore
from friendli_endpoint.config import TokenHash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERY = {"/complete": "POST", "/metrics": "GET", "/any": "GET", "/unlisted": "GET", "/things/demo": "GET"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TokenStore]:
    with closing(TokenStore.open(tmp_path / "state")) as store:
        yield store


@pytest.mark.parametrize(
    ("scope", "opened"),
    [
        ("complete", {"/complete", "/any", "/things/demo"}),
        ("metrics", {"/metrics", "/any", "/things/demo"}),
        ("admin", set(EVERY)),
    ],
)
def test_a_scope_opens_its_own_doors(store: TokenStore, scope: str, opened: set[str]) -> None:
    text, _ = store.create(scopes=[scope])
    statuses = {path: ask(guarded(store), method, path, shows(text)).status_code for path, method in EVERY.items()}
    assert statuses == {path: 200 if path in opened else 403 for path in EVERY}


def test_what_is_in_no_door_is_an_admins_method_by_method(store: TokenStore) -> None:
    app = guarded(store)
    user, admin = (store.create(scopes=scopes)[0] for scopes in (["complete", "metrics"], ["admin"]))
    for path in ("/any", "/open", "/things/demo", "/things/demo/parts", "/unlisted"):
        assert ask(app, "PUT", path).status_code == 401
        assert ask(app, "PUT", path, shows(user)).status_code == 403
        assert ask(app, "PUT", path, shows(admin)).status_code == 200


def test_an_open_door_is_open_to_reading_alone(store: TokenStore) -> None:
    store.create(scopes=["complete"])
    app = guarded(store)
    assert [ask(app, method, "/open").status_code for method in ("GET", "HEAD", "PUT", "POST")] == [200, 200, 401, 401]
    assert ask(app, "GET", "/open", shows("wrong")).status_code == 200


def test_a_door_without_a_route_opens_nothing(store: TokenStore) -> None:
    text, _ = store.create(scopes=["complete"])
    assert ask(guarded(store), "GET", "/nowhere").status_code == 401
    assert ask(guarded(store), "GET", "/nowhere", shows(text)).status_code == 404


def test_what_leads_nowhere_is_told_so_to_whoever_has_a_token(store: TokenStore) -> None:
    text, _ = store.create(scopes=["metrics"])
    app = guarded(store)
    assert ask(app, "DELETE", "/complete", shows(text)).status_code == 405
    assert ask(app, "GET", "/complete/more", shows(text)).status_code == 404
    assert ask(app, "DELETE", "/complete").status_code == 401


def test_a_line_break_at_the_end_of_a_path_opens_no_door(store: TokenStore) -> None:
    text, _ = store.create(scopes=["complete"])
    assert ask(guarded(store), "GET", "/open%0a").status_code == 401
    assert ask(guarded(store), "POST", "/complete%0a", shows(text)).status_code == 403


def test_the_sentence_of_a_missing_scope_says_how_to_get_one(store: TokenStore) -> None:
    text, _ = store.create(scopes=["complete"])
    error = error_of(ask(guarded(store), "GET", "/metrics", shows(text)), 403)
    assert error["type"] == "permission_denied"
    assert "friendli token create --scope metrics" in error["message"]
    error = error_of(ask(guarded(store), "GET", "/unlisted", shows(text)), 403)
    assert "--admin-token" in error["message"]
    assert "friendli token create --scope admin" in error["message"]


@pytest.mark.parametrize("scope", ["complete", "admin"])
def test_a_token_for_one_endpoint_opens_no_other_whether_there_or_not(store: TokenStore, scope: str) -> None:
    text, _ = store.create(scopes=[scope], endpoints=["demo"])
    app = guarded(store)
    assert ask(app, "GET", "/things/demo", shows(text)).status_code == 200
    assert "not for this endpoint" in error_of(ask(app, "GET", "/things/other", shows(text)), 403)["message"]
    assert ask(app, "DELETE", "/things/other", shows(text)).status_code == 403


@pytest.mark.parametrize(
    ("teams", "asked", "runs_as"),
    [
        (["a", "b"], None, "a"),
        (["a", "b"], "b", "b"),
        (["a", "b"], "a", "a"),
        (["a", "b"], "c", None),
        (["a", "b"], "default", None),
        ([], None, "default"),
        ([], "a", None),
    ],
)
def test_a_request_runs_as_a_team_of_its_token(
    store: TokenStore, teams: list[str], asked: str | None, runs_as: str | None
) -> None:
    text, token = store.create(scopes=["complete"], teams=teams)
    more = [("X-Friendli-Team", asked)] if asked else []
    reply = ask(guarded(store), "GET", "/any", shows(text), *more)
    if runs_as:
        assert reply.json() == {"token": token.prefix, "team": runs_as}
    else:
        assert error_of(reply, 403)["field"] == "X-Friendli-Team"


def test_an_admin_runs_as_any_team(store: TokenStore) -> None:
    text, token = store.create(scopes=["admin"])
    reply = ask(guarded(store), "GET", "/any", shows(text), ("X-Friendli-Team", "whoever"))
    assert reply.json() == {"token": token.prefix, "team": "whoever"}


@pytest.mark.parametrize("given", [[""], ["a b"], ["../a"], ["a" * 65], ["a", "a"], ["a", "b"], ["a,b"]])
def test_what_names_no_single_team_is_refused(store: TokenStore, given: list[str]) -> None:
    text, _ = store.create(scopes=["admin"])
    reply = ask(guarded(store), "GET", "/any", shows(text), *(("X-Friendli-Team", team) for team in given))
    assert error_of(reply, 422)["field"] == "X-Friendli-Team"


def test_tokens_of_the_settings_and_created_ones_are_good_side_by_side(store: TokenStore) -> None:
    text, token = store.create(scopes=["complete"])
    app = guarded(store, tokens=(TokenHash.parse("flp_user"),), admin_tokens=(TokenHash.parse("flp_admin"),))
    callers = [ask(app, "POST", "/complete", shows(shown)).json() for shown in (text, "flp_user", "flp_admin")]
    assert [caller["token"] for caller in callers] == [token.prefix, "server.tokens", "server.admin_tokens"]
    assert {caller["team"] for caller in callers} == {"default"}
    assert ask(app, "GET", "/any", shows("flp_user"), ("X-Friendli-Team", "a")).status_code == 403
    assert ask(app, "GET", "/any", shows("flp_admin"), ("X-Friendli-Team", "a")).json()["team"] == "a"


def test_the_first_token_closes_an_open_server_and_revoking_it_does_not_open_it_again(
    store: TokenStore, tmp_path: Path
) -> None:
    app = guarded(store)
    assert ask(app, "PUT", "/unlisted", ("X-Friendli-Team", "a")).json() == {"token": "open", "team": "a"}
    with closing(TokenStore.open(tmp_path / "state")) as command:
        text, token = command.create(scopes=["admin"])
        assert ask(app, "PUT", "/unlisted").status_code == 401
        assert ask(app, "PUT", "/unlisted", shows(text)).status_code == 200
        command.revoke(token.prefix)
        assert ask(app, "PUT", "/unlisted", shows(text)).status_code == 401
        assert ask(app, "PUT", "/unlisted").status_code == 401


def test_tokens_that_cannot_be_read_let_nobody_in(store: TokenStore, caplog: pytest.LogCaptureFixture) -> None:
    text, _ = store.create(scopes=["admin"])
    store.close()
    error_of(ask(guarded(store), "GET", "/any", shows(text)), 500)
    error_of(ask(guarded(store), "GET", "/any"), 500)
    assert text not in caplog.text
