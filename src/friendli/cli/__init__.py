"""The `friendli` command: complete, serve, models, version.

Exit codes: 0 done; 1 it failed, for the reason in the one line on standard error; 2 the command was wrong, or a package
that it needs is not installed; 130 ended by Ctrl-C.
"""

from __future__ import annotations

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
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding cannot show is shown as a question mark; it is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app(prog_name="friendli")
    return 0
