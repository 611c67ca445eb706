"""What the package shows, what it loads, and which of its modules may know what."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from public_surface import lines

import friendli
from friendli import errors, models, utils

HOME = Path(friendli.__file__).parent
SOURCES = sorted(path for path in HOME.rglob("*.py") if path.relative_to(HOME).parts[0] != "cli")


def test_the_public_surface_is_as_it_was_written_down():
    """A change on purpose is written down with the command at the top of `public_surface.py`."""
    written = (Path(__file__).parent / "public_surface.txt").read_text().splitlines()
    assert list(lines()) == written


def test_every_name_of_the_package_is_there_when_it_is_asked_for():
    assert friendli.__all__ == sorted(friendli.__all__)
    assert all(getattr(friendli, name) is not None for name in friendli.__all__)
    assert set(friendli.__all__) <= set(dir(friendli))
    assert friendli.__version__ == version("friendli")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = friendli.nothing


def test_the_documented_names_are_where_they_are_documented():
    client = friendli.Friendli("t")
    completions = client.dedicated.completions
    assert callable(completions.complete)
    assert callable(completions.stream)
    assert callable(completions.complete_async)
    assert callable(completions.stream_async)
    assert (utils.RetryConfig, utils.BackoffStrategy, models.SDKError) is not None
    assert models.DedicatedCompletionsCompleteBody is not models.DedicatedCompletionsStreamBody
    assert issubclass(errors.SDKError, Exception)


@pytest.mark.parametrize("module", ["models", "utils"])
def test_lists_of_names_are_sorted_and_true(module):
    names = importlib.import_module(f"friendli.{module}").__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_only_the_transport_knows_the_http_library():
    knowing = {path for path in SOURCES if any(name.split(".")[0] in ("httpx2", "anyio") for name in imports_of(path))}
    assert {path.parent.name for path in knowing} == {"_transport"}


def test_the_client_knows_nothing_of_the_endpoint():
    assert not [path for path in SOURCES if any(name.startswith("friendli_endpoint") for name in imports_of(path))]


def test_the_client_knows_nothing_of_its_twin_for_tests():
    ours = [path for path in SOURCES if path.parent.name != "testing"]
    assert not [path for path in ours if any(name.startswith("friendli.testing") for name in imports_of(path))]


@pytest.mark.parametrize(
    "core", ["_answers", "_call", "_fold", "_pieces", "_reader", "_redirect", "_retry", "_sse", "_watch"]
)
def test_the_cores_do_no_io_and_read_no_clock(core):
    path = next(path for path in SOURCES if path.stem == core)
    assert not imports_of(path) & {"time", "socket", "asyncio", "anyio", "os"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import friendli", ["httpx2", "pydantic", "friendli.sdk"]),
        ("from friendli import Friendli; Friendli()", ["pydantic", "friendli.models", "asyncio", "friendli.testing"]),
        ("import friendli.models, friendli._fold", ["httpx2", "friendli.sdk"]),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(statement, absent):
    program = f"{statement}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
