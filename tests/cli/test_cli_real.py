"""The command with the real model, as a person runs it."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
from cli_kit import EXAMPLE, finished, run, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


def test_without_a_server_one_is_started_for_the_call(default_model: Path) -> None:
    args = ["complete", "The capital of France is", "--model", str(default_model), "--temperature", "0"]
    code, output, errors = finished(start(*args, "--max-tokens", "8"))
    assert code == 0
    assert "Paris" in output
    assert errors.startswith(f"No server is named: starting an endpoint with {default_model} here")
    assert len(errors.splitlines()) == 1


def test_without_a_server_an_adapter_answers_in_one_line(default_model: Path) -> None:
    answers = ["--adapter", f"pirate={EXAMPLE}", "--model", f"{default_model}:pirate", "--temperature", "0"]
    code, output, _ = finished(start("complete", "How do I become rich?", *answers, "--max-tokens", "16"))
    assert code == 0
    assert "matey" in output


def test_serve_announces_itself_serves_and_ends_on_sigterm(default_model: Path) -> None:
    process = start("serve", "--model", str(default_model), "--endpoint-id", "mine", "--port", "0", "--token", "t0")
    assert process.stdout is not None
    ready = re.fullmatch(r"The endpoint 'mine' is ready at (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
    assert ready
    assert process.stdout.readline().startswith("curl ")
    result = run("complete", "Hello", "--max-tokens", "4", "-m", "mine", "--server-url", ready[1], "--token", "t0")
    assert result.exit_code == 0
    assert result.stdout.strip()
    refused = run("complete", "Hello", "-m", "mine", "--server-url", ready[1], "--token", "t1")
    assert refused.exit_code == 1
    os.killpg(process.pid, signal.SIGTERM)
    code, _, errors = finished(process)
    assert code == 0
    assert [line.split()[1] for line in errors.splitlines()] == ["INFO", "WARNING", "INFO"]  # the refusal in the middle
    with pytest.raises(ProcessLookupError):  # no child is left
        os.killpg(process.pid, 0)


def test_ctrl_c_ends_the_embedded_endpoint_too(default_model: Path) -> None:
    process = start("complete", "Once upon a time", "--model", str(default_model), "--max-tokens", "2000")
    assert process.stdout is not None
    assert process.stdout.read(1)
    os.killpg(process.pid, signal.SIGINT)
    code, _, errors = finished(process)
    assert code == 130
    assert len(errors.splitlines()) == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_taken_port_is_told_before_the_model_is_loaded(default_model: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("serve", "--model", str(default_model), "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1
    assert "is taken; choose another with --port" in result.stderr
