"""`friendli endpoints`: what is asked of the server, what is printed, and the same against the server itself."""

from __future__ import annotations

import json

import pytest
from cli_kit import run, server
from scripted_server import Answer, Asked, scripted

from friendli_endpoint.engine.fake import FakeEngine

ENDPOINTS = "/dedicated/v1/endpoints"
DEMO = {
    "object": "endpoint",
    "id": "demo",
    "status": "RUNNING",
    "error": None,
    "requests": 3,
    "waiting": 1,
    "adapters": 2,
    "start_seconds": 3.96,
    "created": 1_790_000_000,
    "updated": 1_790_000_009,
}
BROKEN = {**DEMO, "id": "big", "status": "FAILED", "error": "no room", "requests": 0, "start_seconds": None}


def test_the_list_is_a_table_with_a_line_for_each_endpoint() -> None:
    with scripted(Answer(200, {"object": "list", "data": [DEMO, BROKEN]})) as asked:
        result = run("endpoints", "list", "--server-url", asked.url, "--token", "t0")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["endpoint", "status", "requests", "waiting", "adapters", "started", "in", "error"],
        ["demo", "RUNNING", "3", "1", "2", "4.0", "s"],
        ["big", "FAILED", "0", "1", "2", "no", "room"],
    ]
    assert asked.asked == [Asked("GET", ENDPOINTS, "Bearer t0", None)]


def test_json_is_the_server_s_reply_with_whatever_it_says() -> None:
    said = {"object": "list", "data": [{**DEMO, "news": [1]}]}
    with scripted(Answer(200, said)) as asked:
        assert json.loads(run("endpoints", "list", "--json", "--server-url", asked.url).stdout) == said


def test_a_list_without_endpoints_says_so_beside_the_output() -> None:
    with scripted(Answer(200, {"data": []})) as asked:
        result = run("endpoints", "list", "--server-url", asked.url)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "The server has no endpoint that this token may use.\n"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ("sleep", "SLEEPING", "demo is SLEEPING.\n"),
        ("wake", "RUNNING", "demo is RUNNING. It started in 4.0 s.\n"),
        ("restart", "RUNNING", "demo is RUNNING. It started in 4.0 s.\n"),
    ],
)
def test_a_change_tells_what_the_endpoint_is_then(change: str, status: str, said: str) -> None:
    with scripted(Answer(200, {**DEMO, "status": status})) as asked:
        result = run("endpoints", change, "demo", "--server-url", asked.url, "--token", "t0")
    assert (result.exit_code, result.stdout) == (0, said)
    assert asked.asked == [Asked("PUT", f"{ENDPOINTS}/demo/{change}", "Bearer t0", None)]


def test_an_id_is_one_segment_of_the_path() -> None:
    with scripted(Answer(200, DEMO)) as asked:
        run("endpoints", "wake", "../a/b", "--server-url", asked.url)
    assert asked.asked[0].path == f"{ENDPOINTS}/%2E%2E%2Fa%2Fb/wake"


def test_an_answer_that_is_no_endpoint_is_told_in_one_line() -> None:
    with scripted(Answer(200, {"status": 7})) as asked:
        result = run("endpoints", "wake", "demo", "--server-url", asked.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the answer does not describe an endpoint" in result.stderr.splitlines()[-1]


def test_an_endpoint_sleeps_and_wakes_and_only_a_failed_one_restarts() -> None:
    engine = FakeEngine()
    with server(engine=engine) as found:
        naming = ["--server-url", found.base_url, "--token", found.token]
        assert run("endpoints", "sleep", "demo", *naming).stdout == "demo is SLEEPING.\n"
        assert not engine.ready
        assert run("endpoints", "list", *naming).stdout.splitlines()[1].split()[:2] == ["demo", "SLEEPING"]
        assert run("endpoints", "wake", "demo", *naming).stdout.startswith("demo is RUNNING. It started in ")
        assert engine.ready
        refused = run("endpoints", "restart", "demo", *naming)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "'demo' is RUNNING; only a failed endpoint can restart." in refused.stderr


@pytest.mark.parametrize(("args", "code"), [(["wake", ""], 2), (["wake"], 2), (["wake", "other"], 1)])
def test_a_wrong_endpoint_is_told(args: list[str], code: int) -> None:
    with server() as found:
        result = run("endpoints", *args, "--server-url", found.base_url, "--token", found.token)
    assert (result.exit_code, result.stdout) == (code, "")
