"""More distinct schemas than any cache holds: each is served, and the engine does not keep them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from bench.endurance.hostile_grammars import many_grammars
from bench.endurance.hostile_kit import answered
from bench.endurance.proc_kit import holds
from bench.endurance.rows import Row

if TYPE_CHECKING:
    from bench.endurance.hostile_kit import Input, Outcome
    from bench.endurance.served_kit import Served

_LANES: Final = 16
_SCHEMAS: Final = 10_000
_QUICK_SCHEMAS: Final = 100
_MOST_GROWTH: Final = 64.0  # MiB


def flood(served: Served, *, quick: bool) -> Row:
    """As many schemas; the first tenth of them may fill what is kept."""
    schemas = list(many_grammars(_QUICK_SCHEMAS if quick else _SCHEMAS))
    warm, rest = schemas[: len(schemas) // 10], schemas[len(schemas) // 10 :]
    outcomes = asyncio.run(_answers(served, warm))
    (engine,) = served.children
    before, began = holds(engine).rss, time.monotonic()
    outcomes += asyncio.run(_answers(served, rest))
    seconds, same = time.monotonic() - began, served.children == [engine]
    growth = holds(engine).rss - before if same else 0.0
    kinds = Counter(outcome.status for outcome in outcomes)
    return Row(
        f"{len(schemas):,} distinct schemas, {_LANES} at a time",
        f"each served; the engine the same, and grows by <= {_MOST_GROWTH:g} MiB",
        f"{dict(kinds)}; {len(rest) / seconds:.0f} a second; {before:.0f} MiB, {growth:+.1f}; "
        f"{'0 restarts' if same else 'restarted'}",
        set(kinds) == {200} and same and growth <= _MOST_GROWTH,
    )


async def _answers(served: Served, schemas: list[Input]) -> list[Outcome]:
    todo = iter(schemas)

    async def lane() -> list[Outcome]:
        return [await answered(served.url, each) for each in todo]

    lanes = await asyncio.gather(*(lane() for _ in range(_LANES)))
    return [outcome for outcomes in lanes for outcome in outcomes]
