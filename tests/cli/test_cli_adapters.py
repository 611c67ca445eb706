"""`friendli adapters`: what is asked of the server, what is printed, and what becomes of errors."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from cli_kit import finished, run, start
from scripted_server import Answer, Asked, scripted

if TYPE_CHECKING:
    from pathlib import Path

PIRATE = {
    "object": "adapter",
    "route": "pirate",
    "source": "/srv/pirate",
    "rank": 8,
    "targets": ["q", "v"],
    "parameters": 460_800,
    "requests": 3,
    "created": 1_790_000_000,
}
LEGAL = {**PIRATE, "route": "legal", "source": "org/legal-lora", "rank": 64, "parameters": 38_000_000, "requests": 0}
BOTH = {"object": "list", "data": [PIRATE, LEGAL]}
BROKEN = Answer(0)
GONE = Answer(404, {"error": {"message": "There is no adapter 'pirate'; known adapters: 'legal'."}})
ADAPTERS = "/dedicated/v1/endpoints/demo/adapters"


def test_the_list_is_a_table_with_a_line_for_each_adapter() -> None:
    with scripted(Answer(200, BOTH)) as server:
        result = run("adapters", "list", "--server-url", server.url, "--token", "t0")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["route", "rank", "targets", "parameters", "requests", "source"],
        ["pirate", "8", "q", "v", "460,800", "3", "/srv/pirate"],
        ["legal", "64", "q", "v", "38,000,000", "0", "org/legal-lora"],
    ]
    assert server.asked == [Asked("GET", ADAPTERS, "Bearer t0", None)]


def test_markup_in_a_name_is_shown_as_it_is() -> None:
    with scripted(Answer(200, {"data": [{**PIRATE, "source": "[red]a[/] :smile:"}]})) as server:
        assert "[red]a[/] :smile:" in run("adapters", "list", "--server-url", server.url).stdout


def test_an_empty_list_says_so_beside_the_output() -> None:
    with scripted(Answer(200, {"object": "list", "data": []})) as server:
        result = run("adapters", "list", "--server-url", server.url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "The endpoint demo has no adapters.\n")


def test_json_is_the_server_s_reply_with_whatever_it_says() -> None:
    said = {"object": "list", "data": [{**PIRATE, "news": [1]}]}
    with scripted(Answer(200, said)) as server:
        result = run("adapters", "list", "--json", "--server-url", server.url)
    assert json.loads(result.stdout) == said


def test_server_and_token_can_come_from_the_environment() -> None:
    with scripted(Answer(200, BOTH)) as server:
        result = run("adapters", "list", FRIENDLI_SERVER_URL=server.url, FRIENDLI_TOKEN="t1")
    assert result.exit_code == 0
    assert server.asked[0].token == "Bearer t1"


@pytest.mark.parametrize(("status", "said"), [(201, "Added pirate to demo"), (200, "Replaced pirate of demo")])
def test_adding_says_what_was_added_or_replaced(status: int, said: str) -> None:
    with scripted(Answer(status, PIRATE)) as server:
        result = run("adapters", "add", "pirate", "org/pirate", "--server-url", server.url)
    assert (result.exit_code, result.stdout) == (0, f"{said}: rank 8, q v, 460,800 parameters.\n")
    assert server.asked == [Asked("PUT", f"{ADAPTERS}/pirate", None, {"source": "org/pirate"})]


@pytest.mark.parametrize("source", ["org/pirate", "./nothing", "~nobody-of-that-name/x", "x" * 5000])
def test_a_source_that_is_not_here_is_sent_as_it_is(source: str) -> None:
    with scripted(Answer(201, PIRATE)) as server:
        assert run("adapters", "add", "pirate", source, "--server-url", server.url).exit_code == 0
    assert server.asked[0].body == {"source": source}


def test_a_source_that_is_here_is_sent_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with scripted(Answer(201, PIRATE)) as server:
        run("adapters", "add", "pirate", "here", "--server-url", server.url)
    assert server.asked[0].body == {"source": str(tmp_path / "here")}


def test_removing_says_that_it_waits_and_then_that_it_is_done() -> None:
    with scripted(Answer(204)) as server:
        result = run("adapters", "remove", "pirate", "--endpoint", "mine", "--server-url", server.url)
    assert (result.exit_code, result.stdout) == (0, "Removed pirate from mine.\n")
    assert "waits for the requests" in result.stderr
    assert server.asked == [Asked("DELETE", ADAPTERS.replace("demo", "mine") + "/pirate", None, None)]


def test_names_stay_within_their_segment_of_the_path() -> None:
    with scripted(GONE) as server:
        run("adapters", "remove", "..", "--endpoint", "a/b?c", "--server-url", server.url)
    assert server.asked[0].path == "/dedicated/v1/endpoints/a%2Fb%3Fc/adapters/%2E%2E"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "The token is not valid for this server."),
        (403, "Adapters are changed with an admin token."),
        (404, "There is no endpoint 'demo'."),
        (422, "source: no such folder."),
    ],
)
def test_a_refusal_is_one_line_with_the_server_s_sentence(status: int, message: str) -> None:
    with scripted(Answer(status, {"error": {"message": message}})) as server:
        result = run("adapters", "add", "pirate", "x", "--server-url", server.url, "--token", "s3cret")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"friendli: {message} (status {status})\n"


def test_an_engine_that_is_not_ready_is_asked_again() -> None:
    later = Answer(503, {"error": {"message": "The engine is loading."}})
    with scripted(later, Answer(201, PIRATE)) as server:
        result = run("adapters", "add", "pirate", "x", "--server-url", server.url)
    assert result.stdout.startswith("Added pirate")
    assert server.asked[0] == server.asked[1]


def test_a_route_that_is_gone_after_an_interrupted_removal_is_removed() -> None:
    with scripted(BROKEN, GONE) as server:
        result = run("adapters", "remove", "pirate", "--server-url", server.url)
    assert (result.exit_code, result.stdout) == (0, "Removed pirate from demo.\n")


def test_a_route_that_is_unknown_after_a_refusal_was_never_there() -> None:
    with scripted(Answer(503), GONE) as server:
        result = run("adapters", "remove", "pirate", "--server-url", server.url)
    assert result.exit_code == 1
    assert "known adapters: 'legal'" in result.stderr


@pytest.mark.parametrize("body", [[], {"data": [{"route": "pirate"}]}])
def test_an_answer_that_describes_no_adapters_is_told(body: object) -> None:
    with scripted(Answer(200, body)) as server:
        result = run("adapters", "list", "--server-url", server.url)
    assert (result.exit_code, result.stderr) == (1, "friendli: the answer does not describe adapters (status 200)\n")


def test_a_server_that_is_not_there_is_named() -> None:
    result = run("adapters", "list", "--server-url", "http://127.0.0.1:9")
    assert (result.exit_code, result.stderr) == (1, "friendli: the endpoint could not be reached (127.0.0.1:9)\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["list"], "--server-url http://127.0.0.1:8080"),
        (["list", "--server-url", "ftp://host"], "http:// or https://"),
        (["list", "--server-url", "http://127.0.0.1:9", "--endpoint", ""], "--endpoint is empty"),
        (["add", "", "x", "--server-url", "http://127.0.0.1:9"], "ROUTE is empty"),
        (["add", "pirate", "", "--server-url", "http://127.0.0.1:9"], "SOURCE is empty"),
        (["add", "pirate", "--server-url", "http://127.0.0.1:9"], "SOURCE"),
        (["remove", "", "--server-url", "http://127.0.0.1:9"], "ROUTE is empty"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(args: list[str], said: str) -> None:
    result = run("adapters", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_ctrl_c_ends_a_long_removal_quietly() -> None:
    held = threading.Event()
    with scripted(Answer(204, hold=held)) as server:
        process = start("adapters", "remove", "pirate", "--server-url", server.url)
        assert server.arrived.wait(30)
        os.killpg(process.pid, signal.SIGINT)
        code, output, errors = finished(process)
        held.set()
    assert (code, output) == (130, "")
    assert len(errors.splitlines()) == 1


def test_nothing_of_the_endpoint_s_packages_is_needed() -> None:
    missing = "import sys\nsys.modules.update(dict.fromkeys(('msgspec', 'openvino', 'tokenizers')))\n"
    with scripted(Answer(200, BOTH)) as server:
        code = f"{missing}from friendli.cli import main\nsys.exit(main())"
        status, output, _ = finished(start("adapters", "list", "--server-url", server.url, code=code))
    assert (status, len(output.splitlines())) == (0, 3)
