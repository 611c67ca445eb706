"""Three times what can be done: as much is done as ever, and whoever is refused is told so at once."""

from __future__ import annotations

import asyncio
import math
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.endurance.fake_server import command
from bench.endurance.line_kit import Pool
from bench.endurance.load_kit import Asked, Sort, closed_loop, goodput, open_loop, probe, quantile
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from friendli_endpoint.access import TokenStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.endurance.served_kit import Served

_PLACES: Final = 64
_TIMES: Final = 3.0
_TOML: Final = """
[server]
port = 0
max_requests = {places}

[endpoints.demo]
max_rows = {rows}
"""


@dataclass(frozen=True)
class Load:
    """Three times the peak for `seconds`; the peak is measured for `peak_seconds` before, and after."""

    where: str
    peak_seconds: float
    seconds: float
    warm_seconds: float
    sort: Sort
    strict: bool
    """Whether times count; else only that nothing hangs or is lost."""


def measure(*, quick: bool) -> Iterator[Row]:
    """At three times the peak on the fake engine and on the real model; a flood beside a team on the fake one."""
    fake = Sort("fake")
    with _fake(rows=32) as served:
        load = (
            Load("fake engine", 2, 5, 1, fake, strict=False)
            if quick
            else Load("fake engine", 20, 300, 5, fake, strict=True)
        )
        yield from _loaded(served, load)
    yield _fair(seconds=4 if quick else 60, strict=not quick)
    if not quick:
        with serving(_TOML.format(places=16, rows=8)) as served:
            yield from _loaded(served, Load("real model", 20, 60, 5, Sort("real", 16, 32), strict=True))


def _loaded(served: Served, load: Load) -> Iterator[Row]:
    peaks, asked, since, until, health = asyncio.run(_run(served.url, load))
    let_in = [each for each in asked if each.status != 429]
    refused = [each for each in asked if each.status == 429]
    good, peak = goodput(asked, since, until), sum(peaks) / len(peaks)
    where = f"3x capacity, open loop, {load.seconds:g} s, {load.where}"
    yield Row(
        f"{where}: goodput",
        ">= 95 % of peak",
        f"{good:.0f} of {peak:.0f} tokens/s (before and after: {', '.join(f'{each:.0f}' for each in peaks)}), "
        f"{good / peak:.1%}; load average {os.getloadavg()[0]:.1f}",
        good >= (0.95 if load.strict else 0.2) * peak,
    )
    yield _refusals(where, refused, strict=load.strict)
    whole = sum(each.whole for each in let_in)
    yield Row(f"{where}: admitted", "every one ends whole", f"{whole} of {len(let_in)}", 0 < whole == len(let_in))
    slow = quantile(health, 0.99)
    got = f"p50 {quantile(health, 0.5) * 1000:.1f} ms, p99 {slow * 1000:.1f} ms of {len(health)}"
    yield Row(f"{where}: health", "p99 <= 100 ms", got, slow <= (0.1 if load.strict else 10))


def _refusals(where: str, refused: list[Asked], *, strict: bool) -> Row:
    times = [each.seconds for each in refused]
    told = sum(each.retry_after.isdigit() and int(each.retry_after) >= 1 for each in refused)
    slow = quantile(times, 0.99)
    got = f"{len(refused)}, {told} with it; p50 {quantile(times, 0.5) * 1000:.1f} ms, p99 {slow * 1000:.1f} ms"
    held = 0 < told == len(refused) and slow <= (0.05 if strict else 10)
    return Row(f"{where}: refusals", "all 429 with Retry-After >= 1; p99 <= 50 ms", got, held)


async def _run(url: str, load: Load) -> tuple[list[float], list[Asked], float, float, list[float]]:
    """The peaks; what was asked at three times the peak; the time that counts; what health took."""
    pool = Pool(url)
    await closed_loop(pool, load.sort, _users(load), load.warm_seconds, seed=1)
    peaks = [await _peak(pool, load, seed=2)]
    asking = Pool(url)
    probing = asyncio.create_task(probe(asking, 0.05))
    begin = time.perf_counter()
    asked = await open_loop(pool, load.sort, _TIMES * peaks[0] / load.sort.mean, load.seconds, seed=3)
    probing.cancel()
    health = await probing
    asking.close()
    peaks.append(await _peak(pool, load, seed=4))
    pool.close()
    return peaks, asked, begin + load.warm_seconds, begin + load.seconds, health


async def _peak(pool: Pool, load: Load, seed: int) -> float:
    """Tokens a second when everybody is answered, and all rows are always taken."""
    begin = time.perf_counter()
    asked = await closed_loop(pool, load.sort, _users(load), load.peak_seconds + load.warm_seconds, seed)
    return goodput(asked, begin + load.warm_seconds, begin + load.warm_seconds + load.peak_seconds)


def _users(load: Load) -> int:
    return 14 if load.where == "real model" else 56


def _fair(*, seconds: float, strict: bool) -> Row:
    """Two teams: one asks ten times what the other does, who asks for all that can be done."""
    rows, step = 16, 0.02
    with _fake(rows=rows, step_seconds=step) as served:
        tokens = _tokens(served, ("flood", "calm"))
        done = asyncio.run(_share(served.url, tokens, rows / step, seconds))
    share = done["calm"] / (done["calm"] + done["flood"])
    return Row(
        f"a team beside one that floods with 10 times as much, {seconds:g} s, fake engine",
        ">= 45 % of what is done",
        f"{share:.1%} of {done['calm'] + done['flood']:.0f} tokens/s",
        share >= (0.45 if strict else 0.2) and not math.isnan(share),
    )


async def _share(url: str, tokens: dict[str, str], per_second: float, seconds: float) -> dict[str, float]:
    pool = Pool(url)
    sorts = [Sort(team, headers={"Authorization": f"Bearer {token}"}) for team, token in tokens.items()]
    rates = {"flood": 10.0, "calm": 1.0}
    begin = time.perf_counter()
    asked = await asyncio.gather(
        *(open_loop(pool, sort, rates[sort.name] * per_second / sort.mean, seconds, seed=5) for sort in sorts)
    )
    pool.close()
    window = begin + seconds / 4, begin + seconds
    return {sort.name: goodput(each, *window) for sort, each in zip(sorts, asked, strict=True)}


def _tokens(served: Served, teams: tuple[str, ...]) -> dict[str, str]:
    store = TokenStore.open(served.folder / "state")
    try:
        return {team: store.create(name=team, scopes=["complete"], teams=[team])[0] for team in teams}
    finally:
        store.close()


@contextmanager
def _fake(*, rows: int, step_seconds: float = 0.02) -> Iterator[Served]:
    toml = _TOML.format(places=_PLACES, rows=rows)
    with serving(toml, command(rows=rows, step_seconds=step_seconds)) as served:
        yield served
