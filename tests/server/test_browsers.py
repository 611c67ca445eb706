"""What web pages may do: nothing, unless their origin is named."""

from __future__ import annotations

import pytest
from auth_kit import ask, guarded, shows
from server_kit import error_of

from friendli_endpoint.config import TokenHash
from friendli_endpoint.errors import ConfigError

PAGE = "https://app.example"
TOKENS = (TokenHash.parse("flp_one"),)
PREFLIGHT = [("Origin", PAGE), ("Access-Control-Request-Method", "POST")]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8080", "localhost", "localhost:1", "LocalHost:80", "[::1]", "[::1]:8080", "127.8.9.1"],
)
def test_an_open_server_answers_to_names_of_this_machine(host: str) -> None:
    assert ask(guarded(), "POST", "/complete", host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",  # noqa: S104 - a Host, not an address to listen on
        "10.0.0.1",
        "evil@127.0.0.1",
        "127.0.0.1/x",
        "127.0.0.1 evil.example",
        "localhost, evil.example",
        "[::1",
        "localhost:x",
        "2130706433",
        "",
    ],
)
def test_a_name_that_was_pointed_at_an_open_server_is_refused(host: str) -> None:
    error = error_of(ask(guarded(), "POST", "/complete", host=host), 403)
    assert "http://127.0.0.1" in error["message"]
    assert ask(guarded(), "GET", "/open", host=host).status_code == 200


def test_two_hosts_must_both_name_this_machine() -> None:
    assert ask(guarded(), "POST", "/complete", ("Host", "evil.example")).status_code == 403


@pytest.mark.parametrize("origin", [PAGE, "null", "http://localhost:3000", "http://127.0.0.1", "", "file://"])
def test_a_page_does_not_reach_an_open_server_unless_its_origin_is_named(origin: str) -> None:
    error = error_of(ask(guarded(), "POST", "/complete", ("Origin", origin)), 403)
    assert "server.cors_origins" in error["message"]
    assert ask(guarded(cors_origins=(PAGE,)), "POST", "/complete", ("Origin", PAGE)).status_code == 200


def test_with_tokens_the_token_decides_whatever_host_and_origin_say() -> None:
    app = guarded(tokens=TOKENS)
    stranger = {"host": "evil.example"}
    assert ask(app, "POST", "/complete", shows("flp_one"), ("Origin", PAGE), **stranger).status_code == 200
    assert ask(app, "POST", "/complete", ("Origin", PAGE), **stranger).status_code == 401


def test_without_origins_no_reply_has_a_header_for_pages() -> None:
    app = guarded(tokens=TOKENS)
    for reply in (
        ask(app, "OPTIONS", "/complete", *PREFLIGHT),
        ask(app, "POST", "/complete", shows("flp_one"), ("Origin", PAGE)),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control")]
    assert ask(app, "OPTIONS", "/complete", *PREFLIGHT).status_code == 401


def test_a_named_page_may_ask_what_it_may_send_without_a_token() -> None:
    app = guarded(tokens=TOKENS, cors_origins=(PAGE,))
    wanted = ("Access-Control-Request-Headers", "authorization, content-type, x-friendli-team, idempotency-key")
    reply = ask(app, "OPTIONS", "/complete", *PREFLIGHT, wanted)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in reply.headers


def test_a_preflight_tells_no_path_from_another() -> None:
    app = guarded(tokens=TOKENS, cors_origins=(PAGE,))
    replies = [ask(app, "OPTIONS", path, *PREFLIGHT) for path in ("/complete", "/unlisted", "/nothing")]
    assert len({(reply.status_code, str(reply.headers), reply.text) for reply in replies}) == 1


@pytest.mark.parametrize(
    "origin", ["https://app.example.evil", "http://app.example", "https://app.example:8443", "null"]
)
def test_another_page_may_read_nothing(origin: str) -> None:
    app = guarded(tokens=TOKENS, cors_origins=(PAGE,))
    preflight = ask(app, "OPTIONS", "/complete", ("Origin", origin), PREFLIGHT[1])
    assert preflight.status_code == 400
    reply = ask(app, "POST", "/complete", shows("flp_one"), ("Origin", origin))
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("shown", [shows("flp_one"), shows("wrong")], ids=["good token", "bad token"])
def test_a_named_page_reads_replies_and_errors_with_their_request_id(shown: tuple[str, str]) -> None:
    reply = ask(guarded(tokens=TOKENS, cors_origins=(PAGE,)), "POST", "/complete", shown, ("Origin", PAGE))
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert reply.headers["access-control-expose-headers"] == "X-Request-Id, Retry-After"
    assert "x-request-id" in reply.headers


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://app.example/", "app.example", "https://*.example", "https://", ""]
)
def test_what_is_no_single_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.cors_origins"):
        guarded(cors_origins=(origin,))
