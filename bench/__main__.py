"""`python -m bench [engine|controls|adapters|server|client|demo|faults|all] [--quick]`: measure and print Markdown."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bench import adapters, client, controls, demo, engine, machine, report, server
from bench.faults import run as faults
from bench.http_load import LoadError
from bench.plan import PeerSettings, Plan
from bench.wire import ChildError
from friendli_endpoint.errors import EndpointError
from friendli_endpoint.hub import resolve, terminal_progress
from friendli_endpoint.text import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRONG = (adapters.WrongAnswersError, demo.DemoError, faults.BrokenPromiseError)
PARTS = ("engine", "controls", "adapters", "server", "client", "demo", "faults")


def main() -> int:
    arguments = _arguments()
    wanted = PARTS if arguments.part == "all" else (arguments.part,)
    print(f"# Measured side by side\n\n{machine.describe()}\n", flush=True)
    try:
        company = machine.Company()
        for section in _sections(wanted, arguments.model, quick=arguments.quick):
            print(f"{section}\n\n{report.company(company.share())}\n", flush=True)
            company = machine.Company()
        for section in faults.measure(quick=arguments.quick) if "faults" in wanted else ():
            print(f"{section}\n", flush=True)  # no times in it: company matters little
    except (ChildError, EndpointError, LoadError, *WRONG) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="all", help="(default: all)")
    parser.add_argument("--quick", action="store_true", help="short runs, no tuning of the peer: to see that it works")
    parser.add_argument("--model", default="smollm2-135m", help="a name or a GGUF file (default: %(default)s)")
    return parser.parse_args()


def _sections(wanted: tuple[str, ...], model: str, *, quick: bool) -> Iterator[str]:
    """The report of each wanted part, as soon as it is measured."""
    settings = PeerSettings()
    plan = _plan(model, quick=quick) if {"engine", "controls", "adapters", "server"} & set(wanted) else None
    if plan and "engine" in wanted:
        figures = engine.measure(plan, tune=not quick)
        settings = figures.settings
        yield report.engine(figures)
    if plan and "controls" in wanted:
        yield report.controls(controls.measure(plan))
    if plan and "adapters" in wanted:
        yield from adapters.measure(plan, settings, quick=quick)
    if plan and "server" in wanted:
        yield report.server(server.measure(plan, settings))
    if "client" in wanted:
        yield report.client(client.measure(_client_plan(quick=quick)))
    if "demo" in wanted:
        yield report.demo(demo.measure())


def _plan(model: str, *, quick: bool) -> Plan:
    path: Path = resolve(model, progress=terminal_progress())
    encode = load_tokenizer(path).encode
    if quick:
        return Plan(path, encode, repeats=1, new_tokens=16, waiting_jobs=32, mixed=16)
    return Plan(path, encode, repeats=5, new_tokens=64, waiting_jobs=128, mixed=64)


def _client_plan(*, quick: bool) -> client.Plan:
    return client.Plan(repeats=1, events=4000, calls=50) if quick else client.Plan(repeats=7, events=20000, calls=400)


if __name__ == "__main__":
    sys.exit(main())
