"""`python -m bench.endurance [PART ...] [--quick]`: measure and print a table; ends with 1 when a promise broke."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, cast

from bench import machine
from bench.endurance.rows import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.endurance.rows import Part, Row

PARTS = (
    "kills",
    "draining",
    "leaving",
    "overload",
    "crowd",
    "ledger",
    "hostile",
    "doors",
    "canaries",
    "schemas",
    "soak",
)
"""Modules of this package, in the order of their running; `soak` takes as long as all others."""


def main() -> int:
    arguments = _arguments()
    broken: list[Row] = []
    print(f"# Endurance, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\n{machine.describe()}\n", flush=True)
    for line in table(_rows(arguments.parts or PARTS, broken, quick=arguments.quick)):
        print(line, flush=True)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"{', '.join(PARTS)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="short forms, to see that it works")
    return parser.parse_args()


def _rows(parts: tuple[str, ...], broken: list[Row], *, quick: bool) -> Iterator[Row]:
    for name in parts:
        part = cast("Part", import_module(f"bench.endurance.{name}"))
        print(f"{name} ...", file=sys.stderr, flush=True)
        for row in part.measure(quick=quick):
            if not row.held:
                broken.append(row)
            yield row


if __name__ == "__main__":
    sys.exit(main())
