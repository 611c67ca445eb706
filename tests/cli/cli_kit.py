"""What the command line's tests share: running the command, and a server on the fake engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers
from typer.testing import CliRunner

from friendli.cli.app import app
from friendli_endpoint.config import load_settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.run import embedded
from friendli_endpoint.text import Tokenizer, spelling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from friendli_endpoint.server.run import Embedded

EXAMPLE = Path(__file__).parents[2] / "examples/adapters/pirate"
END = 256
# Nothing of the caller's environment may name a server or a token.
CLEAN = {"FRIENDLI_SERVER_URL": "", "FRIENDLI_TOKEN": ""}


def run(*args: str, stdin: str | bytes | None = None, **env: str) -> Result:
    """The command in this process."""
    return CliRunner(env=CLEAN | env).invoke(app, args, input=stdin)


def start(*args: str, code: str | None = None) -> subprocess.Popen[str]:
    """The command in a process and a process group of its own; `code` runs in its place."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background, and inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)
    program = ["-c", code] if code else ["-m", "friendli.cli"]
    return subprocess.Popen(
        [sys.executable, *program, *args],
        env=os.environ | CLEAN,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output, errors; the process is given a minute."""
    with process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def byte_tokenizer() -> Tokenizer:
    """A token for each byte, and 256 for the end."""
    backend = Backend(models.BPE(vocab=spelling.byte_level_alphabet(), merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, spelling.BYTE_LEVEL, eos_tokens=(END,), added={END: True})


@contextmanager
def server(text: str = "some text", *, engine: FakeEngine | None = None) -> Iterator[Embedded]:
    """A real server on loopback with the endpoint `demo`, whose choices say `text` unless `engine` has its own way."""
    engine = engine or FakeEngine(script=lambda request, choice: text.encode())
    with embedded(load_settings(), load=lambda *_: (Deployment("demo", engine, byte_tokenizer()),)) as found:
        yield found


def naming(found: Embedded) -> list[str]:
    """The options that name the server."""
    return ["--server-url", found.base_url, "--token", found.token, "--model", "demo"]
