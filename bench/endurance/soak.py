"""A mixed load for twenty minutes (ENDURANCE_SOAK_MINUTES for others): nothing fails, and nothing piles up."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2

from bench.endurance.proc_kit import Holds, holds, slope
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from bench.endurance.soak_kit import Tally, fill, load, meet_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.endurance.served_kit import Served

_USERS: Final = 8
_EVERY_SECONDS: Final = 2.0
_QUICK_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 20.0
_MOST_MIB_PER_HOUR: Final = 1.0
_QUICK_MIB: Final = 128.0
_PIRATE: Final = Path(__file__).parents[2] / "examples/adapters/pirate"
_SETTINGS: Final = f"""
[server]
idempotency_seconds = 60  # so that what is kept for them is full after the warm-up, as is the prefix cache
[endpoints.demo]
model = "smollm2-135m"
kv_tokens = 3072
[endpoints.demo.adapters]
pirate = "{_PIRATE}"
"""


@dataclass(frozen=True)
class _Sample:
    """Of one moment: the server, its engine, and the tasks of the server's event loop."""

    seconds: float
    server: Holds
    engine: Holds
    tasks: int

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """What has to be flat."""
        both = (("server", self.server), ("engine", self.engine))
        files = {f"open files of the {name}": each.files for name, each in both}
        threads = {f"threads of the {name}": each.threads for name, each in both}
        return files | threads | {"tasks": Counter(task=self.tasks)}


@dataclass
class _Soak:
    """What a run has shown: samples under load after the warm-up, and one at rest before and after them."""

    tally: Tally
    samples: list[_Sample]
    before: _Sample
    after: _Sample


def measure(*, quick: bool) -> Iterator[Row]:
    seconds = _QUICK_SECONDS if quick else 60 * float(os.environ.get("ENDURANCE_SOAK_MINUTES", "20"))
    with serving(_SETTINGS) as served:
        if not quick:
            asyncio.run(meet_sizes(served.url))
        soak = asyncio.run(_soak(served, seconds))
        yield _requests(soak.tally, seconds)
    yield _memory("server", soak, [each.server.rss for each in soak.samples], quick=quick)
    yield _memory("engine", soak, [each.engine.rss for each in soak.samples], quick=quick)
    yield from _flat(soak, slack=_USERS if quick else 0)


async def _soak(served: Served, seconds: float) -> _Soak:
    """The first quarter is the warm-up."""
    tally = Tally()
    await fill(served.url)
    await load(served.url, _USERS, seconds / 4, tally)
    before = await _rested(served)
    sampling = asyncio.create_task(_samples(served))
    await load(served.url, _USERS, seconds * 3 / 4, tally)
    sampling.cancel()
    after = await _rested(served, before)
    return _Soak(tally, await sampling, before, after)


async def _samples(served: Served) -> list[_Sample]:
    """Until it is cancelled."""
    samples: list[_Sample] = []
    try:
        while True:
            samples.append(await _sample(served))
            await asyncio.sleep(_EVERY_SECONDS)
    except asyncio.CancelledError:
        return samples


async def _sample(served: Served) -> _Sample:
    (engine,) = served.children
    async with httpx2.AsyncClient(timeout=300) as client:
        metrics = (await client.get(f"{served.url}/metrics")).text
    tasks = re.findall(r"^friendli_tasks (\d+)", metrics, re.MULTILINE)
    return _Sample(time.monotonic(), holds(served.process.pid), holds(engine), int(tasks[0]))


async def _rested(served: Served, before: _Sample | None = None) -> _Sample:
    """Once the last connections are gone, which takes a moment; as soon as nothing is more than `before`."""
    until = time.monotonic() + _SETTLE_SECONDS
    if before is None:
        await asyncio.sleep(_SETTLE_SECONDS / 4)
        return await _sample(served)
    while True:
        sample = await _sample(served)
        if time.monotonic() > until or not _grown(before, sample, 0):
            return sample
        await asyncio.sleep(0.5)


def _grown(before: _Sample, after: _Sample, slack: int) -> list[str]:
    return [name for name, each in after.counts.items() if each.total() > before.counts[name].total() + slack]


def _requests(tally: Tally, seconds: float) -> Row:
    asked = sum(tally.asked.values()) - tally.asked["cancelled"]
    mixed = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.asked.items()))
    what = f"mixed load of {_USERS} users for {seconds / 60:.1f} min ({mixed})"
    first = f": {tally.failed[0]}" if tally.failed else ""
    return Row(what, "0 requests failed that should not", f"{len(tally.failed)} of {asked}{first}", not tally.failed)


def _memory(name: str, soak: _Soak, rss: list[float], *, quick: bool) -> Row:
    """In the short form, only that it does not run away."""
    hours = [(each.seconds - soak.samples[0].seconds) / 3600 for each in soak.samples]
    grows = slope(hours, rss)
    quarters = [rss[len(rss) * quarter // 4] for quarter in range(4)] + rss[-1:]
    got = (
        f"{grows.value:+.2f} ± {grows.error:.2f} MiB/h by {len(rss)} samples; "
        f"{', '.join(f'{each:.1f}' for each in quarters)} MiB from the first to the last, {max(rss):.1f} at most"
    )
    held = max(rss) - rss[0] <= _QUICK_MIB if quick else grows.value - 2 * grows.error <= _MOST_MIB_PER_HOUR
    return Row(f"resident memory of the {name} after the warm-up", "slope - 2 errors <= 1 MiB/h", got, held)


def _flat(soak: _Soak, slack: int) -> Iterator[Row]:
    """At rest, where nothing is left of the load; `slack`: pools of threads may not be full after a short warm-up."""
    before, after, peak = soak.before.counts, soak.after.counts, _peak(soak.samples)
    for name, each in after.items():
        more = ", ".join(f"{count} {what}" for what, count in (each - before[name]).items())
        count, most = each.total(), before[name].total()
        got = f"{count} at rest after the load{more and f' (more: {more})'}, {peak[name]} under it at most"
        yield Row(name, f"<= {most}, as at rest after the warm-up", got, count <= most + slack)


def _peak(samples: list[_Sample]) -> dict[str, int]:
    return {name: max(each.counts[name].total() for each in samples) for name in samples[0].counts}
