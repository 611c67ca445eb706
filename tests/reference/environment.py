"""Scripts that run in the environment of the oracles, which has torch and transformers.

FRIENDLI_REFERENCE_PYTHON names another interpreter that already has them; then nothing is installed.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.environments import python_with

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
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
