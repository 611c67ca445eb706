"""Environments of others, each made once per set of requirements, and the scripts that run in the one of the oracles.

That one has torch and transformers. FRIENDLI_REFERENCE_PYTHON names another interpreter that already has them; then
nothing is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
HOME = Path(__file__).parents[2] / ".reference"
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONPATH": str(Path(__file__).parent),
    "OMP_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait take several times as long on a busy machine
}


class OracleError(Exception):
    """An oracle script failed; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Runs oracle scripts; they hand results back as files that their arguments name, and import what lies here."""

    python: Path

    def run(self, script: Path, *args: str | Path) -> None:
        """Run `script` with `args` to its end; OracleError when it fails. Two threads, no network."""
        env = os.environ | SETTINGS
        command = [str(self.python), str(script), *map(str, args)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            raise OracleError(f"{script.name} ended with {done.returncode}:\n{said}")


def reference_python() -> Path:
    """The interpreter to run oracles in."""
    if named := os.environ.get("FRIENDLI_REFERENCE_PYTHON"):
        return Path(named)
    return python_with("venv", REQUIREMENTS)


def python_with(name: str, requirements: Path) -> Path:
    """The interpreter of an environment that has `requirements` alone; made on first use, anew when they change.

    Safe when several test runs start at once.
    """
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = HOME / f"{name}-{key}"
    with _locked(HOME / f"{name}-{key}.lock"):
        if not (folder / ".complete").exists():
            _create(folder, requirements)
    return folder / "bin" / "python"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(folder: Path, requirements: Path) -> None:
    # Created in place, because an environment can't be moved; the marker says that it is whole.
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", str(requirements)], check=True)
    (folder / ".complete").touch()
