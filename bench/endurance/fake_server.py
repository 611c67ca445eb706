"""A program that serves engines without models: `python -m bench.endurance.fake_server`.

With `--wait` it serves once it reads a line, so that a server can be made ready beside another one.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.config import default_state, load_settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.routes import ConfiguredAdapter
from friendli_endpoint.server.run import serve
from friendli_endpoint.text.fake import byte_tokenizer

if TYPE_CHECKING:
    from friendli_endpoint.config import EndpointSettings
    from friendli_endpoint.engine.vocabulary import Request


def letters(request: Request, choice: int) -> bytes:
    """As many letters as are asked for, a pure function of prompt and seed."""
    rng = random.Random(repr((request.prompt, request.seeds[choice])))  # noqa: S311 - the same every time
    return bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=request.max_tokens))


def fake_deployment(name: str, endpoint: EndpointSettings, *, rows: int, step_seconds: float) -> Deployment:
    """An endpoint that says `letters`; the files of its adapters need not be there."""
    adapters = [ConfiguredAdapter(route, source, Path(source)) for route, source in endpoint.adapters.items()]
    engine = FakeEngine(script=letters, rows=rows, step_seconds=step_seconds)
    return Deployment(name, engine, byte_tokenizer(), adapters, resolve_adapter=Path)


def command(*, rows: int, step_seconds: float, wait: bool = False) -> tuple[str, ...]:
    """How to start it, but for `--config`."""
    figures = ("--rows", str(rows), "--step-seconds", str(step_seconds))
    return (sys.executable, "-m", "bench.endurance.fake_server", *figures, *(("--wait",) if wait else ()))


def main() -> None:
    asked = _arguments()
    if asked.wait:
        sys.stdin.readline()
    serve(
        load_settings(asked.config, state=default_state()),
        load=lambda settings, progress: [
            fake_deployment(name, endpoint, rows=asked.rows, step_seconds=asked.step_seconds)
            for name, endpoint in settings.endpoints.items()
        ],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--step-seconds", type=float, default=0.02)
    parser.add_argument("--wait", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
