"""`friendli serve` in a process of its own, with settings and a state folder that go with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FRIENDLI = (sys.executable, "-c", "from friendli.cli import main; main()", "serve", "--port", "0")
_END_SECONDS = 60


@dataclass(frozen=True)
class Served:
    """A server that runs, until the context around it ends."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    """Has its state, and its log as `log`."""

    @property
    def children(self) -> list[int]:
        """The process ids of its children: the engine's, while there is one."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return (self.folder / "log").read_text()


@contextmanager
def serving(toml: str, command: tuple[str, ...] = FRIENDLI) -> Iterator[Served]:
    """A server with `toml` as its friendli.toml; it is ended with the context, if it has not ended before."""
    with tempfile.TemporaryDirectory(prefix="friendli-endurance-") as name:
        folder = Path(name)
        (folder / "friendli.toml").write_text(toml)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [*command, "--config", str(folder / "friendli.toml")],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parents[2],
                env=os.environ | {"FRIENDLI_STATE": str(folder / "state")},
            )
        with process:
            try:
                yield Served(process, _address(process, folder), folder)
            finally:
                _end(process)


def _address(process: subprocess.Popen[str], folder: Path) -> str:
    for line in process.stdout or ():
        if found := re.search(r"ready at (http://\S+)", line):
            return found[1]
    raise RuntimeError(f"the server ended with {process.wait()}: {(folder / 'log').read_text()[-2000:]}")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
