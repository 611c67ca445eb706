"""mypy, on two files: what users write, about which it has nothing to say, and what is wrong, which it must find."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXPECTED = re.compile(r"# error: ([a-z-]+)$")


@pytest.fixture(scope="module")
def complaints(tmp_path_factory) -> dict[str, set[tuple[int, str, str]]]:
    """(line, code, message) of each file, of the checker that the project pins and the package as it is installed."""
    cache = tmp_path_factory.mktemp("mypy")
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--output=json", "accepted.py", "refused.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr or done.stdout
    found: dict[str, set[tuple[int, str, str]]] = {"accepted.py": set(), "refused.py": set()}
    for complaint in map(json.loads, done.stdout.splitlines()):
        if complaint["severity"] == "error":
            found[complaint["file"]].add((complaint["line"], complaint["code"], complaint["message"]))
    return found


def test_what_users_write_passes_a_strict_checker(complaints):
    assert complaints["accepted.py"] == set()


def test_what_is_wrong_is_refused_there_and_nowhere_else(complaints):
    lines = (HERE / "refused.py").read_text().splitlines()
    marked = {(number, match[1]) for number, line in enumerate(lines, 1) if (match := EXPECTED.search(line))}
    assert {(line, code) for line, code, _ in complaints["refused.py"]} == marked
    assert len(marked) > 50


def test_an_unknown_keyword_is_answered_with_the_nearest_one(complaints):
    messages = [message for _, _, message in complaints["refused.py"]]
    assert any('"max_token" ' in message and 'did you mean "max_tokens"?' in message for message in messages)
