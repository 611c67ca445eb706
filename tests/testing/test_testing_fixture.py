"""The fixture, in runs of pytest of its own; the page's examples run there, too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import friendli.testing

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
TESTS = """
import pytest
from friendli import SyncFriendli


def ask(prompt="Hi"):
    return SyncFriendli().dedicated.completions.complete(model="demo", prompt=prompt).choices[0].text


def test_answers(friendli_endpoint):
    friendli_endpoint.script("one", "two")
    assert [ask(), ask()] == ["one", "two"]


@pytest.mark.friendli_endpoint("one", default="more", generation=1)
def test_takes_its_arguments_from_the_mark(friendli_endpoint):
    assert [ask(), ask()] == ["one", "more"]


@pytest.mark.friendli_endpoint("one", allow_unused=True)
def test_allows_unused(friendli_endpoint):
    pass


@pytest.mark.friendli_endpoint("never asked for")
def test_passes_but_leaves_a_reply(friendli_endpoint):
    pass


@pytest.mark.friendli_endpoint("never asked for")
def test_fails_for_its_own_reason(friendli_endpoint):
    raise KeyError("own")


@pytest.mark.friendli_endpoint("never asked for")
def test_skips(friendli_endpoint):
    pytest.skip("own")


def test_swallows_an_unscripted_request(friendli_endpoint):
    with pytest.raises(AssertionError):
        ask()


def test_is_fresh(friendli_endpoint):
    assert friendli_endpoint.requests == ()
"""


def run_pytest(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-W", "error", *options, str(folder)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FRIENDLI_"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    return done.stdout + done.stderr


def test_the_fixture_answers_and_checks_what_is_left_where_the_test_passed(tmp_path):
    (tmp_path / "test_program.py").write_text(TESTS)
    printed = run_pytest(tmp_path, "--strict-markers")
    told = set(re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", printed, re.MULTILINE))
    names = re.findall(r"def (test_\w+)", TESTS)
    assert {name for outcome, name in told if outcome == "FAILED"} == {"test_fails_for_its_own_reason"}, printed
    assert {name for outcome, name in told if outcome == "ERROR"} == {
        "test_passes_but_leaves_a_reply",
        "test_swallows_an_unscripted_request",
    }
    assert {name for outcome, name in told if outcome == "PASSED"} == set(names) - {
        "test_fails_for_its_own_reason",
        "test_skips",
    }
    assert "nobody asked for 1 of the replies: completion('never asked for')" in printed
    assert "nothing is scripted for <Request 1: POST" in printed


def test_the_examples_of_the_page_are_tests_that_pass(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"test_page_{number}.py").write_text(block)
    printed = run_pytest(tmp_path)
    tests = sum(len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)) for block in blocks)
    assert tests >= len(blocks) > 0
    assert f"{tests} passed" in printed, printed


def test_the_plugin_costs_nothing_until_its_fixture_is_used():
    program = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import friendli.testing.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["friendli", "friendli.testing", "friendli.testing.pytest_plugin"]


def test_the_public_names_are_these():
    assert friendli.testing.__all__ == [
        "Choice",
        "EndlessWaitError",
        "Endpoint",
        "Reply",
        "Request",
        "UnscriptedRequestError",
        "UnusedRepliesError",
        "choice",
        "completion",
        "dropped",
        "failure",
        "raw",
        "redirect",
        "refused",
    ]
    assert all(getattr(friendli.testing, name).__doc__ for name in friendli.testing.__all__)
    assert set(friendli.testing.__all__) <= set(dir(friendli.testing))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = friendli.testing.nothing
