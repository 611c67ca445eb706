"""`friendli usage`: what is asked of the server or read from a folder, and what is printed."""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest
from cli_kit import finished, run, start
from scripted_server import Answer, Asked, scripted

from friendli_endpoint.usage import Ledger, Who

if TYPE_CHECKING:
    from pathlib import Path

ONE = {
    "requests": 1200,
    "prompt_tokens": 30_000,
    "cached_tokens": 10_000,
    "completion_tokens": 5_000,
    "total_tokens": 35_000,
}
SAID = {
    "object": "list",
    "from": "2026-11-01T00:00:00Z",
    "to": None,
    "by": ["team", "adapter"],
    "data": [{"team": "acme", "adapter": None, **ONE}, {"team": "acme", "adapter": "pirate", **ONE}],
    "total": {name: 2 * value for name, value in ONE.items()},
}
USAGE = "/dedicated/v1/usage"


def fill(folder: Path) -> None:
    """Two requests of one team and one of another, on 2026-09-21."""
    ledger = Ledger.open(folder, clock=lambda: 1_790_000_000.0)
    for number, (team, adapter) in enumerate([("acme", None), ("acme", "pirate"), ("[red]b[/]", None)]):
        entry = ledger.begin(Who(request_id=f"{number}", team=team, token="t", endpoint="demo", adapter=adapter))
        entry.count(prompt=10, cached=4, completion=5)
        entry.abandon("finished")
    ledger.close()


def test_a_server_is_asked_and_its_groups_are_lines_with_tabs() -> None:
    with scripted(Answer(200, SAID)) as server:
        result = run(
            *("usage", "--from", "2026-11-01", "--by", "team,adapter", "--team", "a&b", "--endpoint", "demo"),
            *("--to", "2026-12-01", "--server-url", server.url, "--token", "t0"),
        )
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "acme\t-\t1200\t30000\t10000\t5000\t35000\nacme\tpirate\t1200\t30000\t10000\t5000\t35000\n"
    query = "?from=2026-11-01&to=2026-12-01&by=team%2Cadapter&team=a%26b&endpoint=demo"
    assert server.asked == [Asked("GET", USAGE + query, "Bearer t0", None)]


def test_json_is_the_servers_reply_with_whatever_it_says() -> None:
    said = {**SAID, "news": [1]}
    with scripted(Answer(200, said)) as server:
        result = run("usage", "--json", "--server-url", server.url)
    assert json.loads(result.stdout) == said
    assert server.asked[0].path == f"{USAGE}?by=team%2Cendpoint%2Cadapter"


def test_a_terminal_gets_a_table_with_the_sum_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from friendli.cli import usage
    from friendli.cli.usage_report import Report

    printed: list[object] = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(usage, "print_table", lambda titles, rows, numbers: printed.extend([titles, *rows]))
    usage._print(Report.model_validate(SAID))
    assert [list(row) for row in printed] == [
        ["team", "adapter", "requests", "prompt", "cached", "completion", "total"],
        ["acme", "-", "1,200", "30,000", "10,000", "5,000", "35,000"],
        ["acme", "pirate", "1,200", "30,000", "10,000", "5,000", "35,000"],
        ["all", "", "2,400", "60,000", "20,000", "10,000", "70,000"],
    ]


@pytest.mark.parametrize("serving", [True, False], ids=["beside a server", "without one"])
def test_a_folder_is_read_as_a_server_would_answer(tmp_path: Path, serving: bool) -> None:
    fill(tmp_path)
    server = Ledger.open(tmp_path) if serving else None
    args = ("--state", str(tmp_path), "--by", "team,day", "--from", "2026-09-21", "--to", "2026-09-22")
    result = run("usage", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "[red]b[/]\t2026-09-21\t1\t10\t4\t5\t15\nacme\t2026-09-21\t2\t20\t8\t10\t30\n"
    report = json.loads(run("usage", *args, "--json").stdout)
    assert report["total"] == dict(zip(ONE, (3, 30, 12, 15, 45), strict=True))
    assert list(report["data"][0]) == ["team", "day", *ONE]
    if server is not None:
        server.close()


def test_without_keys_there_is_one_line_of_everything(tmp_path: Path) -> None:
    fill(tmp_path)
    assert run("usage", "--state", str(tmp_path), "--by", "").stdout == "3\t30\t12\t15\t45\n"


def test_where_nothing_was_used_that_is_said_beside_the_output(tmp_path: Path) -> None:
    fill(tmp_path)
    result = run("usage", "--state", str(tmp_path), "--team", "nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing was used.\n")


def test_a_folder_is_read_without_changing_it(tmp_path: Path) -> None:
    fill(tmp_path)
    before = (tmp_path / "usage.db").read_bytes()
    run("usage", "--state", str(tmp_path))
    assert (tmp_path / "usage.db").read_bytes() == before


def test_a_newer_ledger_is_told(tmp_path: Path) -> None:
    fill(tmp_path)
    connection = sqlite3.connect(tmp_path / "usage.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    result = run("usage", "--state", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "of version 9, this friendli knows 1" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--state", "nowhere"], 1, "There is no usage ledger in nowhere: name the folder that server.state names."),
        (["--state", "s", "--by", "user"], 1, "by should name some of team, endpoint, adapter, day"),
        (["--state", "s", "--from", "today"], 1, "from should be a day, 2026-11-01"),
        (["--state", "s", "--server-url", "http://127.0.0.1:9"], 2, "give one of the two"),
        (["--state", "s", "--token", "t"], 2, "give one of the two"),
        ([], 2, "--server-url http://127.0.0.1:8080"),
        (["--server-url", "http://127.0.0.1:9"], 1, "could not be reached"),
    ],
)
def test_what_cannot_be_answered_is_one_line(args: list[str], code: int, said: str) -> None:
    result = run("usage", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(403, {"error": {"message": "The usage of another team needs an admin token."}}),
            "needs an admin token",
        ),
        (Answer(200, {"data": []}), "the answer does not describe usage"),
    ],
)
def test_a_refusal_and_a_strange_answer_are_told(answer: Answer, said: str) -> None:
    with scripted(answer) as server:
        result = run("usage", "--server-url", server.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_a_server_is_asked_without_the_endpoints_packages() -> None:
    missing = "import sys\nsys.modules.update(dict.fromkeys(('msgspec', 'openvino', 'tokenizers')))\n"
    with scripted(Answer(200, SAID)) as server:
        code = f"{missing}from friendli.cli import main\nsys.exit(main())"
        status, output, _ = finished(start("usage", "--server-url", server.url, code=code))
    assert (status, len(output.splitlines())) == (0, 2)
