"""Starts `friendli serve` as an operator does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Served(NamedTuple):
    """A running `friendli serve` whose endpoint is "demo"."""

    process: subprocess.Popen[str]
    url: str
    curl: str
    adapters: str
    """The line that lists the routes, if there are any."""

    @property
    def engine_pid(self) -> int:
        """The engine's process: the server's only child."""
        (pid,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(pid)


def serve(model: Path, *flags: str) -> Served:
    command = [sys.executable, "-c", "from friendli.cli import main; main()", "serve", "--model", str(model)]
    process = subprocess.Popen([*command, "--port", "0", *flags], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ready = re.search(r"ready at (http://127\.0\.0\.1:\d+)", process.stdout.readline())
    assert ready
    adapters = process.stdout.readline() if "--adapter" in flags else ""
    return Served(process, ready[1], process.stdout.readline().strip(), adapters.strip())
