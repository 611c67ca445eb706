"""The `friendli` command: complete, serve, usage, top, adapters, endpoints, models, token, version.

Exit codes: 0 done; 1 it failed, for the reason in the one line on standard error; 2 the command was wrong, or a package
that it needs is not installed; 130 ended by Ctrl-C.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> int:
    """The console script; returns the exit code, or leaves with it."""
    try:
        from friendli.cli.app import app
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.stderr.write("friendli: the command line needs packages of its own: pip install 'friendli[cli]'\n")
        return 2
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding cannot show is shown as a question mark; it is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="friendli")
    except OSError as error:  # what the commands do not explain themselves: their output cannot be written
        _abandon_output()
        sys.stderr.write(f"friendli: the output could not be written: {error.strerror or error}\n")
        return 1
    return 0


def _open_what_is_closed() -> None:
    """Started with a standard stream closed, Python has None for it; such a stream is empty and takes everything."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123 - open as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123


def _abandon_output() -> None:
    """Let the rest of the output go nowhere, so that the interpreter's last flush does not fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
