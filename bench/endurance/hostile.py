"""Thousands of bad inputs, each to be answered clearly, while streams beside them go on as if nothing were."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Final

from bench.endurance import hostile_bytes, hostile_grammars, hostile_routes, hostile_values
from bench.endurance.hostile_flood import flood
from bench.endurance.hostile_kit import CLOSED, answered, distinct
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from bench.endurance.streams_kit import Streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.endurance.hostile_kit import Input, Outcome
    from bench.endurance.served_kit import Served
    from bench.endurance.streams_kit import Heard, Token

LEAST: Final = 2_000
_VOCABULARY: Final = 49_152
_CONTEXT: Final = 8_192
"""Both of the default model."""
_QUICK_SHARE: Final = 23
_LIMIT_SECONDS: Final = 0.2
_TOML: Final = f"[server]\nport = 0\nbody_seconds = 1\n[endpoints.demo]\nkv_tokens = {_CONTEXT}\n"
_VICTIMS: Final[tuple[dict[str, object], ...]] = tuple(
    {"model": "demo", "prompt": f"{number} ships left the harbour, and", "max_tokens": 64, "seed": number}
    for number in range(6)
)


@dataclass(frozen=True)
class Storm:
    """What came of it. `alone` and `beside` are the victims without and with bad inputs."""

    outcomes: Sequence[Outcome]
    alone: Sequence[Heard]
    beside: Sequence[Heard]
    restarts: int

    @property
    def changed(self) -> list[Heard]:
        """The victims that were told otherwise than alone."""
        told: dict[int, list[Token]] = {heard.body: heard.tokens for heard in self.alone}
        return [heard for heard in self.beside if not heard.whole or heard.tokens != told[heard.body]]


def inputs() -> list[Input]:
    """All of them, each once."""
    return distinct(
        chain(
            hostile_values.numbers(),
            hostile_values.texts(),
            hostile_values.token_ids(_VOCABULARY),
            hostile_values.lengths(_CONTEXT),
            hostile_values.keys(),
            hostile_bytes.bodies(),
            hostile_bytes.broken(),
            hostile_bytes.heads(),
            hostile_routes.methods(),
            hostile_routes.names(),
            hostile_routes.questions(),
            hostile_routes.sources(),
            hostile_grammars.grammars(),
        )
    )


def measure(*, quick: bool) -> Iterator[Row]:
    """Its rows."""
    todo = list(islice(inputs(), 0, None, _QUICK_SHARE if quick else 1))
    with serving(_TOML) as served:
        storm = asyncio.run(_storm(served, todo))
        many = flood(served, quick=quick)
    yield _clear(storm, 1 if quick else LEAST)
    yield Row("engine restarts by bad inputs", "0", str(storm.restarts), not storm.restarts)
    victims = f"{len(storm.beside)} streams, {len(storm.changed)} changed"
    yield Row("streams beside bad inputs", "0 changed", victims, bool(storm.beside) and not storm.changed)
    yield _fast(storm, quick=quick)
    yield many


async def _storm(served: Served, todo: Sequence[Input]) -> Storm:
    engine = served.children
    alone, beside = Streams(served.url, _VICTIMS), Streams(served.url, _VICTIMS)
    await alone.run(1, range(len(_VICTIMS)))
    over = asyncio.Event()
    numbers = cycle(range(len(_VICTIMS)))
    listening = asyncio.create_task(beside.run(2, iter(lambda: None if over.is_set() else next(numbers), None)))
    outcomes = [await answered(served.url, each) for each in todo]
    for pair in hostile_bytes.twins():
        outcomes += await asyncio.gather(*(answered(served.url, each) for each in pair))
    over.set()
    await listening
    return Storm(outcomes, alone.over, beside.over, restarts=int(served.children != engine))


def _clear(storm: Storm, least: int) -> Row:
    bad = [outcome for outcome in storm.outcomes if not outcome.good]
    kinds = Counter(_kind(outcome) for outcome in storm.outcomes)
    told = ", ".join(f"{count:,} x {kind}" for kind, count in sorted(kinds.items()))
    which = "".join(f"; {outcome.asked.name}: {outcome.status}" for outcome in bad[:8])
    return Row(
        "bad inputs",
        f">= {least:,} distinct, each a clear 4xx or 2xx",
        f"{len(storm.outcomes):,}: {told}; {len(bad)} otherwise{which}",
        len(storm.outcomes) >= least and not bad,
    )


def _kind(outcome: Outcome) -> str:
    if outcome.status is None:
        return "silence"
    return "closed" if outcome.status == CLOSED else f"{outcome.status // 100}xx"


def _fast(storm: Storm, *, quick: bool) -> Row:
    """What is served, and what has a grammar, has to wait for the engine: that is told, and not judged."""
    refused: list[Outcome] = []
    worked: list[Outcome] = []
    for outcome in storm.outcomes:
        waits = outcome.status == HTTPStatus.OK or b"response_format" in outcome.asked.request
        (worked if waits else refused).append(outcome)
    return Row(
        "bad inputs, until refused",
        "p99 <= 200 ms",
        f"{_times(refused)}; served or with a grammar: {_times(worked)}",
        quick or _p99(refused) <= _LIMIT_SECONDS,
    )


def _times(outcomes: Sequence[Outcome]) -> str:
    worst = max(outcomes, key=lambda outcome: outcome.seconds)
    late = sum(outcome.seconds > _LIMIT_SECONDS for outcome in outcomes)
    return (
        f"p99 {_p99(outcomes) * 1e3:.0f} ms, worst {worst.seconds * 1e3:.0f} ms ({worst.asked.name}), "
        f"{late} of {len(outcomes):,} over 200 ms"
    )


def _p99(outcomes: Sequence[Outcome]) -> float:
    return sorted(outcome.seconds for outcome in outcomes)[len(outcomes) * 99 // 100]
