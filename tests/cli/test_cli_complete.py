"""`friendli complete` against a server."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from cli_kit import finished, naming, run, server, start

from friendli.cli.terminal import shown
from friendli_endpoint.engine.fake import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.server.run import Embedded


@pytest.fixture(scope="module")
def demo() -> Iterator[Embedded]:
    with server("Grüße, 世界\n\x1b[31m") as found:
        yield found


def test_the_text_is_printed_as_it_is(demo: Embedded) -> None:
    result = run("complete", "Say hi", *naming(demo))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Grüße, 世界\n\x1b[31m\n", "")


def test_the_server_and_the_token_can_come_from_the_environment(demo: Embedded) -> None:
    result = run("complete", "x", "-m", "demo", FRIENDLI_SERVER_URL=demo.base_url, FRIENDLI_TOKEN=demo.token)
    assert result.exit_code == 0


def test_options_reach_the_request(demo: Embedded) -> None:
    options = ["--max-tokens", "4", "--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--seed", "7"]
    reply = json.loads(run("complete", "abc", *options, "--json", *naming(demo)).stdout)
    assert reply["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    (choice,) = reply["choices"]
    assert (choice["text"], choice["seed"], choice["finish_reason"]) == ("Grü", 7, "length")


def test_a_stop_phrase_ends_the_text(demo: Embedded) -> None:
    assert run("complete", "x", "--stop", "zzz", "--stop", "üße", *naming(demo)).stdout == "Gr\n"


def test_several_choices_are_printed_with_their_numbers(demo: Embedded) -> None:
    result = run("complete", "x", "-n", "2", "--max-tokens", "2", *naming(demo))
    assert result.stdout == "[0] Gr\n[1] Gr\n"


def test_any_other_field_can_be_set(demo: Embedded) -> None:
    settings = ["--set", "forced_output_tokens=[65, 66]", "--set", "logprobs=0", "--set", 'stop=["zzz"]']
    reply = json.loads(run("complete", "x", *settings, "--json", *naming(demo)).stdout)
    (choice,) = reply["choices"]
    assert (choice["text"], choice["logprobs"]["tokens"]) == ("AB", ["A", "B"])


def test_the_result_of_a_beam_search_is_printed_when_it_is_there(demo: Embedded) -> None:
    result = run("complete", "x", "--set", "num_beams=2", "--max-tokens", "2", *naming(demo))
    assert (result.exit_code, result.stdout) == (0, "Gr\n")


def test_several_prompts_are_answered_apart(demo: Embedded) -> None:
    result = run("complete", "x", "--set", 'prompt=["a", "b"]', "--max-tokens", "2", *naming(demo))
    assert result.stdout == "[0] Gr\n[1] Gr\n"


@pytest.mark.parametrize(
    ("setting", "told"),
    [("logprobs", "--set logprobs=5"), ("no_such=1", "no_such"), ("min_p=2", "min_p"), ("stop=word", "stop")],
)
def test_a_wrong_setting_is_told_before_anything_is_asked(setting: str, told: str) -> None:
    result = run("complete", "x", "--set", setting, "--server-url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize("args", [[], ["-"]])
def test_the_prompt_can_come_from_standard_input_without_its_last_newline(demo: Embedded, args: list[str]) -> None:
    reply = json.loads(run("complete", *args, "--json", *naming(demo), stdin="é\n\n").stdout)
    assert reply["usage"]["prompt_tokens"] == len("é\n".encode())


def test_standard_input_that_is_not_utf_8_is_told(demo: Embedded) -> None:
    result = run("complete", *naming(demo), stdin=b"\xff\xfe")
    assert result.exit_code == 2
    assert "not UTF-8: invalid start byte at byte 0" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--token", "wrong"], "status 401"),
        (["--model", "other"], "status 404"),
        (["--max-tokens", "100000"], "max_tokens"),
    ],
)
def test_what_the_endpoint_refuses_is_told(demo: Embedded, options: list[str], said: str) -> None:
    result = run("complete", "x", *naming(demo), *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert demo.token not in result.stderr


def test_the_team_is_sent(demo: Embedded) -> None:
    assert run("complete", "x", *naming(demo), "--team", "red").exit_code == 0


def test_a_failure_in_the_middle_keeps_the_text_so_far_and_ends_its_line() -> None:
    engine = FakeEngine(step_seconds=0.01)
    with server(engine=engine) as found:
        process = start("complete", "x", "--max-tokens", "500", *naming(found))
        assert process.stdout is not None
        first = process.stdout.read(1)
        engine.fail_with = RuntimeError("the engine is gone")
        code, output, errors = finished(process)
    assert (code, bool(first)) == (1, True)
    assert (first + output).endswith("\n")
    assert errors.startswith("friendli: ")
    assert len(errors.splitlines()) == 1


def test_ctrl_c_ends_quietly_with_130_and_frees_the_request() -> None:
    engine = FakeEngine(step_seconds=0.01)
    with server(engine=engine) as found:
        process = start("complete", "x", "--max-tokens", "500", *naming(found))
        assert process.stdout is not None
        assert process.stdout.read(1)
        os.killpg(process.pid, signal.SIGINT)
        code, _, errors = finished(process)
    assert (code, errors) == (130, "")


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with server(engine=FakeEngine(step_seconds=0.001)) as found:
        process = start("complete", "x", "--max-tokens", "500", *naming(found))
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.stdout.close()
        with process:
            assert process.stderr is not None
            assert process.stderr.read() == ""
        assert process.returncode == 1


def test_a_terminal_gets_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert shown("a\x1b[31m\r\n\tb\x07é世") == "a\ufffd[31m\ufffd\n\tb\ufffdé世"
