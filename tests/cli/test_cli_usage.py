"""What the command says of itself, and of its misuse."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from cli_kit import finished, run, start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("args", [["version"], ["--version"]])
def test_the_version_is_the_package_s(args: list[str]) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (0, f"friendli {version('friendli')}\n")


@pytest.mark.parametrize(
    "command",
    [
        ["complete"],
        ["serve"],
        ["adapters", "list"],
        ["adapters", "add"],
        ["adapters", "remove"],
        ["models", "list"],
        ["models", "pull"],
    ],
)
def test_every_command_s_help_has_examples(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    friendli {' '.join(command)}" in result.stdout


def test_the_help_tells_the_exit_codes() -> None:
    assert "0 done, 1 failed, 2 wrong usage" in run("--help").stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["complet"], "No such command 'complet'"),
        (["complete", "x", "--max-token", "5"], "No such option: --max-token"),
        (["complete", "x", "--max-tokens", "many"], "'--max-tokens': Input should be a valid integer"),
        (["complete", "x", "--max-tokens", "0"], "max_tokens: should be greater than or equal to 1"),
        (["complete", "x", "--temperature", "nan"], "temperature: should be a finite number"),
        (["complete", "x", "--top-p", "0"], "top_p: should be greater than 0"),
        (["complete", "x", "-n", "0"], "n: should be"),
        (["complete", "x", "--stop", ""], "stop.0: string should have at least 1 character"),
        (["complete", "x", "--seed", "-1"], "seed should be an integer from 0"),
        (["complete", "x", "--server-url", "http://127.0.0.1:9"], "--model ENDPOINT_ID"),
        (["complete", "x", "--server-url", "ftp://host", "-m", "demo"], "http:// or https://"),
        (["serve", "--weights", "f17"], "'auto', 'i8', 'f16'"),
        (["serve", "--port", "70000"], "less than or equal to 65535"),
        (["serve", "--threads", "0"], "--threads"),
        (["serve", "--resident-adapters", "0"], "--resident-adapters"),
        (["serve", "--adapter", "pirate"], "--adapter pirate: give a route and its source"),
        (["serve", "--adapter", "=x"], "--adapter =x: give a route and its source"),
        (["serve", "--adapter", "pirate="], "--adapter pirate=: give a route and its source"),
        (["serve", "--adapter", "a=x", "--adapter", "a=y"], "--adapter a=y: the route a is given twice"),
        (["complete", "x", "--adapter", "pirate"], "--adapter pirate: give a route and its source"),
        (["complete", "x", "--adapter", "a=x"], "--model demo:a"),
        (["complete", "x", "--adapter", "a=x", "--adapter", "b=y", "-m", "a"], "--model demo:a or demo:b"),
        (["complete", "x", "--adapter", "a=x", "-m", "demo:b"], "--model demo:a"),
        (["complete", "x", "-m", "demo:pirate"], "--adapter pirate=SOURCE"),
        (["complete", "x", "--adapter", "a=x", "--server-url", "http://127.0.0.1:9", "-m", "demo:a"], "adapters add"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(args: list[str], said: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["serve", "--endpoint-id", ""], "cannot be an endpoint id"),
        (["serve", "--token", "sha256:beef"], "64 hexadecimal digits"),
        (["serve", "--host", "0.0.0.0"], "needs a token"),  # noqa: S104 - refused
        (["serve", "--endpoint-id", "a b"], "cannot be an endpoint id"),
        (["serve", "--config", "/nowhere/friendli.toml"], "/nowhere/friendli.toml cannot be read"),
        (["serve", "--model", "smollm-135m", "--port", "0"], "did you mean smollm2-135m?"),
        (["models", "pull", "./nothing"], "No such file"),
        (["complete", "x", "--model", "./nothing.gguf"], "No such file"),
        (["complete", "x", "--server-url", "http://127.0.0.1:9", "-m", "demo"], "could not be reached"),
    ],
)
def test_a_failure_ends_with_1_and_one_line(args: list[str], said: str) -> None:
    result = run(*args)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.splitlines()[-1].startswith("friendli: ")


def test_a_broken_model_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\x00\x00\x00")
    result = run("complete", "x", "--model", str(broken))
    assert result.exit_code == 1
    assert "broken.gguf" in result.stderr.splitlines()[-1]


def without(*packages: str) -> str:
    """Code that runs the command where `packages` are not installed."""
    return (
        f"import sys\nsys.modules.update(dict.fromkeys({packages!r}))\nfrom friendli.cli import main\nsys.exit(main())"
    )


def test_the_bare_install_names_the_extra() -> None:
    code, output, errors = finished(start("version", code=without("typer")))
    assert (code, output) == (2, "")
    assert errors == "friendli: the command line needs packages of its own: pip install 'friendli[cli]'\n"


@pytest.mark.parametrize("args", [["serve"], ["complete", "x"], ["models", "list"]])
def test_without_the_endpoint_s_packages_the_extra_is_named(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRIENDLI_CACHE", raising=False)  # with it, a list needs nothing of the hub's
    code, output, errors = finished(start(*args, code=without("msgspec", "huggingface_hub", "openvino", "tokenizers")))
    assert (code, output) == (2, "")
    assert errors.endswith("pip install 'friendli[cli,endpoint]'\n")
    assert len(errors.splitlines()) == 1


def test_a_named_server_needs_no_endpoint_packages() -> None:
    code, _, errors = finished(
        start("complete", "x", "--server-url", "http://127.0.0.1:9", "-m", "demo", code=without("msgspec", "openvino"))
    )
    assert code == 1
    assert "could not be reached" in errors


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "<&-"])
def test_a_standard_stream_that_is_full_or_closed_is_no_traceback(redirection: str) -> None:
    command = f"{sys.executable} -m friendli.cli models list {redirection}"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert ended.returncode == (1 if "full" in redirection else 0)
    assert len(ended.stderr.splitlines()) == ended.returncode
