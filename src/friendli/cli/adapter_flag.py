"""`--adapter ROUTE=SOURCE`: the LoRA adapters of an endpoint that a command starts."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from friendli.cli.failures import USAGE, fail

AdapterFlags: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="ROUTE=SOURCE",
        help="A LoRA adapter and its route: a PEFT folder, a GGUF LoRA file or a hub id; may be repeated.",
    ),
]


def adapters_of(flags: list[str] | None) -> dict[str, str] | None:
    """Source by route, None without flags; ends the command at one that is not ROUTE=SOURCE, or names a route again."""
    adapters: dict[str, str] = {}
    for flag in flags or []:
        route, _, source = flag.partition("=")
        if not route or not source:
            raise fail(f"--adapter {flag}: give a route and its source, as in --adapter pirate=./adapter", USAGE)
        if route in adapters:
            raise fail(f"--adapter {flag}: the route {route} is given twice", USAGE)
        adapters[route] = source
    return adapters or None
