"""`make demo` as a stranger has it: a fresh clone, no environment, no model, nothing cached by us or by pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.environments import ROOT


@dataclass(frozen=True)
class DemoFigures:
    """Seconds from `git clone` to the last word, and what was printed to standard output."""

    seconds: float
    printed: str


class DemoError(Exception):
    """The demo failed; the message has the end of what it said."""


def measure() -> DemoFigures:
    """Clone the committed state of this checkout and run `make demo` in it; DemoError when that fails."""
    with tempfile.TemporaryDirectory(prefix="friendli-demo-") as folder:
        clone = Path(folder) / "clone"
        begin = time.perf_counter()
        subprocess.run([_tool("git"), "clone", "--quiet", "--no-local", str(ROOT), str(clone)], check=True)
        done = subprocess.run(
            [_tool("make"), "demo"], cwd=clone, env=_environment(folder), capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - begin
    if done.returncode != 0:
        raise DemoError(f"make demo ended with {done.returncode}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return DemoFigures(seconds, done.stdout)


def _environment(folder: str) -> dict[str, str]:
    """This one without what could help: no caches, no virtual environment, no settings of the project."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FRIENDLI_", "VIRTUAL_ENV", "MAKE"))}
    caches = {"FRIENDLI_CACHE": f"{folder}/cache", "XDG_CACHE_HOME": f"{folder}/xdg", "HF_HOME": f"{folder}/hf"}
    return kept | caches | {"PIP_NO_CACHE_DIR": "1"}


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DemoError(f"{name} is not installed")
    return found
