"""Every row with every client, each in a process and an environment of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.environments import peer_python
from bench.faults.plan import FULL, QUICK
from bench.faults.rows import OURS, ROWS
from bench.wire import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.faults.plan import Extent
    from bench.faults.rows import Promised, Row

ENVIRONMENTS = {"ours": "ours", "configured": "ours", "openai": "openai", "official": "friendli"}
AT_ONCE = 6  # measurements, three of which mostly wait; no figure is a time, so they may run beside each other


class BrokenPromiseError(Exception):
    """Our client did not do what it promises; the message says in which tables."""


def measure(*, quick: bool) -> Iterator[str]:
    """The report of each row as soon as it is measured; BrokenPromiseError after the last one."""
    extents = QUICK if quick else FULL
    pythons = {name: peer_python(environment) for name, environment in ENVIRONMENTS.items()}
    broken: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {
            row: {name: pool.submit(_measured, row, name, pythons[name], extents[name]) for name in row.clients}
            for row in ROWS
        }
        for row, futures in begun.items():
            figures = {name: future.result() for name, future in futures.items()}
            broken += [row.title] * any(not one.kept for name in OURS for one in figures.get(name, ()))
            yield f"## Faults: {row.title}\n\n{row.written(figures)}"
    if broken:
        raise BrokenPromiseError(f"our client broke a promise: {', '.join(broken)}")


def _measured(row: Row, name: str, python: Path, extent: Extent) -> list[Promised]:
    """Each measurement has a process of its own, with nothing left of the one before."""
    with Child(name, [python, "-m", "bench.faults.child", name]) as child:
        return row.measured(name, child.ask, extent)
