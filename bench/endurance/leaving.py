"""Clients that leave, at every stage of their requests: what they held is free at once, and nothing is left of them."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from bench.endurance.leaving_kit import FAKE_STEP_SECONDS, Place, hosted
from bench.endurance.line_kit import Line, post
from bench.endurance.load_kit import quantile
from bench.endurance.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Stage: TypeAlias = Literal["body", "queue", "prefill", "stream", "plain"]
_SETTLED_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Leave:
    """One client's way: at which stage it leaves, whether the request has an Idempotency-Key, and how it goes."""

    number: int
    stage: Stage
    keyed: bool
    reset: bool
    long: int
    """Words of a long prompt, whose prefill takes a while."""

    @property
    def request(self) -> bytes:
        words = self.long if self.stage == "prefill" else 3
        streams = self.stage == "stream" or (self.stage != "plain" and self.number % 2 == 0)
        prompt = f"{self.number} " + "word " * words
        body = {"model": "demo", "prompt": prompt, "max_tokens": 300, "min_tokens": 300, "stream": streams}
        return post(body, {"Idempotency-Key": f"key-{self.number}"} if self.keyed else {})

    def go(self, line: Line) -> None:
        """End the connection."""
        (line.abort if self.reset else line.close)()


@dataclass
class Seen:
    """Seconds from leaving until the server had forgotten the request, by stage; requests that were begun."""

    seconds: dict[Stage, list[float]] = field(default_factory=lambda: {stage: [] for stage in get_args(Stage)})
    room: list[float] = field(default_factory=list)
    """Seconds from leaving the engine's only row until the next one in it had its first token."""
    begun: int = 0


def measure(*, quick: bool) -> Iterator[Row]:
    """Every stage, with and without a key, with a reset and in order: on the fake engine and on the real model."""
    yield from asyncio.run(_measured("fake engine", 40 if quick else 1000, strict=not quick))
    if not quick:
        yield from asyncio.run(_measured("real model", 100, strict=True))


async def _measured(where: str, count: int, *, strict: bool) -> list[Row]:
    with TemporaryDirectory(prefix="friendli-endurance-") as name:
        state = Path(name) / "state"
        seen, real = Seen(), where == "real model"
        async with hosted(state, real=real) as place:
            step = await _step_seconds(place)
            seen.begun += 1
            before = place.held
            for leave in _leaves(count, 900 if real else 30):
                await _leave(place, leave, seen)
            for _ in range(count // 20):
                await _make_room(place, seen)
            after, pulse = await _settled(place, before)
        return [
            *_times(where, seen, step, strict=strict),
            _left(where, before, after, pulse),
            _billed(where, seen, state),
        ]


def _leaves(count: int, long: int) -> Iterator[Leave]:
    ways = itertools.cycle(itertools.product(get_args(Stage), (False, True), (False, True)))
    return (Leave(number, *way, long) for number, way in zip(range(count), ways, strict=False))


async def _leave(place: Place, leave: Leave, seen: Seen) -> None:
    """Who leaves the queue waits behind somebody who holds every row; that one leaves after it, in decode."""
    before = place.held
    first = await _begin(place, seen, n=8) if leave.stage == "queue" else None
    with_first = place.held
    line = await Line.open(place.url)
    await _reach(place, leave, line)
    seen.begun += leave.stage != "body"
    left = time.perf_counter()
    leave.go(line)
    await _until(lambda: _no_more(place.held, with_first))
    seen.seconds[leave.stage].append(time.perf_counter() - left)
    if first is not None:
        first.abort()
        await _until(lambda: _no_more(place.held, before))


async def _make_room(place: Place, seen: Seen) -> None:
    """Leave the only row while another request waits for it in the engine itself."""
    before = place.held
    first, second = await _begin(place, seen, n=1), await Line.open(place.url)
    second.send(post({"model": "demo", "prompt": "second", "max_tokens": 2, "stream": True}))
    seen.begun += 1
    await _until(lambda: place.held[1] == 2)
    await asyncio.sleep(2 * FAKE_STEP_SECONDS)
    left = time.perf_counter()
    first.abort()
    await second.until(b'"token":')
    seen.room.append(time.perf_counter() - left)
    await second.reply()
    second.close()
    await _until(lambda: _no_more(place.held, before))


async def _begin(place: Place, seen: Seen, *, n: int) -> Line:
    """A stream in decode; of 8 choices, it holds all turns that there are."""
    line = await Line.open(place.url)
    body = {"model": "demo", "prompt": "first", "max_tokens": 300, "min_tokens": 300, "n": n, "stream": True}
    line.send(post(body))
    await line.until(b'"token":')
    seen.begun += 1
    return line


async def _reach(place: Place, leave: Leave, line: Line) -> None:
    """Bring the request to the stage at which its client leaves."""
    _, rows, waiting, tasks = place.held
    if leave.stage == "body":
        line.send(leave.request[:-20])
        await _until(lambda: place.held[3] > tasks)
        return
    line.send(leave.request)
    match leave.stage:
        case "queue":
            await _until(lambda: place.held[2] > waiting)
        case "stream":
            await line.until(b'"token":')
        case "prefill":
            await _until(lambda: place.held[1] > rows)
        case _:
            await _until(lambda: place.held[1] > rows)
            await asyncio.sleep(FAKE_STEP_SECONDS * (2 + leave.number % 3))  # somewhere in decode


def _no_more(now: tuple[int, ...], before: tuple[int, ...]) -> bool:
    return all(a <= b for a, b in zip(now, before, strict=True))


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SETTLED_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def _step_seconds(place: Place) -> float:
    """Of one row's decode: the pace of a stream."""
    line = await Line.open(place.url)
    line.send(post({"model": "demo", "prompt": "pace", "max_tokens": 40, "min_tokens": 40, "stream": True}))
    await line.until(b'"token":')
    began = time.perf_counter()
    await line.reply()
    line.close()
    await asyncio.sleep(0.1)
    return (time.perf_counter() - began - 0.1) / 39


async def _settled(place: Place, before: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is held, and what the engine has of sequences and blocks, once it is as before or does not become so."""

    def pulse() -> tuple[int, ...]:
        now = place.deployment.engine.pulse
        return (0, 0, 0) if now is None else (now.running, now.waiting, now.kv_blocks_used)

    with suppress(TimeoutError):
        await _until(lambda: _no_more(place.held, before) and pulse() == (0, 0, 0))
    return place.held, pulse()


def _times(where: str, seen: Seen, step: float, *, strict: bool) -> Iterator[Row]:
    bound = step + 0.1
    for stage, seconds in seen.seconds.items():
        yield Row(
            f"leaving, {where}, {stage}: forgotten",
            f"within a step ({step * 1000:.0f} ms) + 100 ms",
            _told(seconds),
            max(seconds) <= (bound if strict else _SETTLED_SECONDS),
        )

    yield Row(
        f"leaving, {where}: the engine's only row",
        "the next one has its first token after a step + 100 ms and two steps of its own",
        _told(seen.room),
        max(seen.room) <= (3 * step + 0.1 if strict else _SETTLED_SECONDS),
    )


def _told(seconds: list[float]) -> str:
    half, most, longest = quantile(seconds, 0.5) * 1000, quantile(seconds, 0.99) * 1000, max(seconds) * 1000
    load = f"load average {os.getloadavg()[0]:.1f}"
    return f"p50 {half:.1f} ms, p99 {most:.1f} ms, max {longest:.1f} ms of {len(seconds)}; {load}"


def _left(where: str, before: tuple[int, ...], after: tuple[int, ...], pulse: tuple[int, ...]) -> Row:
    names = ("places", "rows", "waiting", "tasks")
    more = ", ".join(f"{a - b} {name}" for name, a, b in zip(names, after, before, strict=True))
    got = f"{more}; in the engine {pulse[0]} running, {pulse[1]} waiting, {pulse[2]} blocks"
    return Row(f"leaving, {where}: leaked", "nothing", got, _no_more(after, before) and pulse == (0, 0, 0))


def _billed(where: str, seen: Seen, state: Path) -> Row:
    with closing(sqlite3.connect(state / "usage.db")) as database:
        lines, ids = database.execute("SELECT count(*), count(DISTINCT request_id) FROM requests").fetchone()
    got = f"{lines} lines of {ids} requests, {seen.begun} begun"
    return Row(f"leaving, {where}: ledger", "each exactly once", got, lines == ids == seen.begun)
