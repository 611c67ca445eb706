"""The engine is killed under streams: they pause, and bring the same tokens as without."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.endurance import poison
from bench.endurance.killing_kit import Kill, kill_often, replaced
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from bench.endurance.streams_kit import Heard, Streams, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.endurance.served_kit import Served

_LANES: Final = 16
_HANG_SECONDS: Final = 3.0
_SLACK_SECONDS: Final = 2.0
_QUICK_SECONDS: Final = 60.0
_SETTINGS: Final = f'[endpoints.demo]\nmodel = "smollm2-135m"\nhang_seconds = {_HANG_SECONDS}\n'
_SIGNS: Final = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)
_NAMES: Final = {signal.SIGKILL: "KILL", signal.SIGSEGV: "SEGV", signal.SIGSTOP: f"hang (found in {_HANG_SECONDS:g} s)"}
_PROMPTS: Final = ("The sea at night", "Once there was", "In this paper we", "A list of things:", "def sort(items):")


@dataclass(frozen=True)
class _Extent:
    kills: int
    bodies: int
    tokens: int
    loads: int
    """How often the loading is measured."""


_FULL: Final = _Extent(kills=50, bodies=48, tokens=100, loads=3)
_QUICK: Final = _Extent(kills=3, bodies=16, tokens=24, loads=1)


@dataclass(frozen=True)
class _Times:
    """Seconds, undisturbed: from a kill to a new engine, and of a step under all streams."""

    load: float
    step: float

    def bound(self, kills: list[Kill]) -> float:
        """The longest pause that these may make."""
        hangs = sum(_HANG_SECONDS for kill in kills if kill.sign is signal.SIGSTOP)
        return sum(self.load + kill.steps * self.step + _SLACK_SECONDS for kill in kills) + hangs


@dataclass(frozen=True)
class _Pause:
    """A silence of a stream in which the engine was killed."""

    seconds: float
    bound: float
    kind: str


def measure(*, quick: bool) -> Iterator[Row]:
    yield from under_streams(quick=quick)
    yield from poison.measure(quick=quick)


def under_streams(*, quick: bool) -> Iterator[Row]:
    """On the real model, from outside."""
    yield from asyncio.run(_measure(_QUICK if quick else _FULL, slack=_QUICK_SECONDS if quick else 0.0))


async def _measure(extent: _Extent, slack: float) -> list[Row]:
    """The undisturbed figures are the worse ones of those before and after: others may use the machine meanwhile."""
    bodies = [_body(number, extent.tokens) for number in range(extent.bodies)]
    with serving(_SETTINGS) as served:
        calm = Streams(served.url, bodies)
        before = await _times(served, calm, extent)
        streams, kills = await _disturbed(served, bodies, extent.kills, before.load)
        after = await _times(served, Streams(served.url, bodies[:_LANES]), extent)
    times = _Times(max(before.load, after.load), max(before.step, after.step))
    expected = {each.body: each.tokens for each in calm.over}
    return [_texts(streams, expected, kills), *_pauses(_found(streams, kills, times), times, slack)]


async def _times(served: Served, calm: Streams, extent: _Extent) -> _Times:
    """Runs every stream of `calm` once."""
    await calm.run(_LANES, range(calm.bodies))
    step = median(end - begin for each in calm.over for begin, end in list(each.gaps)[1:])
    return _Times(median([await _load_seconds(served) for _ in range(extent.loads)]), step)


def _body(number: int, tokens: int) -> dict[str, object]:
    """Every third one greedy; all end by their length, as far as the model does not end them."""
    temperature = 0 if number % 3 == 0 else 0.6 + 0.1 * (number % 5)
    prompt = f"{_PROMPTS[number % len(_PROMPTS)]} {number}"
    return {"model": "demo", "prompt": prompt, "max_tokens": tokens, "seed": number, "temperature": temperature}


async def _disturbed(
    served: Served, bodies: list[dict[str, object]], count: int, load_seconds: float
) -> tuple[Streams, list[Kill]]:
    rng = random.Random(7)  # noqa: S311  not for security
    signs = [_SIGNS[number % len(_SIGNS)] for number in range(count)]
    rng.shuffle(signs)
    streams = Streams(served.url, bodies)
    stop = asyncio.Event()
    running = asyncio.create_task(streams.run(_LANES, _numbers(len(bodies), rng, stop)))
    kills = await kill_often(served, streams, signs, rng, load_seconds)
    stop.set()
    await running
    return streams, kills


def _numbers(count: int, rng: random.Random, stop: asyncio.Event) -> Iterator[int]:
    while not stop.is_set():
        yield rng.randrange(count)


async def _load_seconds(served: Served) -> float:
    """From a kill without streams until a new engine is ready."""
    (before,) = served.children
    os.kill(before, signal.SIGKILL)
    begin = time.monotonic()
    await replaced(served, before)
    return time.monotonic() - begin


def _texts(streams: Streams, expected: dict[int, list[Token]], kills: list[Kill]) -> Row:
    lost = [each for each in streams.over if not each.whole or each.trouble]
    changed = [each for each in streams.over if each.whole and each.tokens != expected[each.body]]
    tokens = sum(len(each.tokens) for each in streams.over)
    got = f"{len(lost)} lost, {len(changed)} other than undisturbed, of {len(streams.over)} with {tokens} tokens"
    trouble = "".join(f"; {each.trouble}" for each in lost[:1])
    what = f"{len(kills)} kills of the engine under {_LANES} streams"
    return Row(what, "0 streams lost, 0 tokens lost, doubled or changed", got + trouble, not lost and not changed)


def _found(streams: Streams, kills: list[Kill], times: _Times) -> list[_Pause]:
    return [pause for each in streams.over for pause in _pauses_of(each, kills, times)]


def _pauses_of(heard: Heard, kills: list[Kill], times: _Times) -> Iterator[_Pause]:
    for begin, end in heard.gaps:
        if inside := [kill for kill in kills if begin < kill.when < end]:
            kind = _NAMES[inside[0].sign] if len(inside) == 1 else "one more before all went on"
            yield _Pause(end - begin, times.bound(inside), kind)


def _pauses(pauses: list[_Pause], times: _Times, slack: float) -> Iterator[Row]:
    """A row for each kind. `slack`: seconds that the short form allows, so that only what never goes on breaks it."""
    kinds: dict[str, list[_Pause]] = defaultdict(list)
    for pause in pauses:
        kinds[pause.kind].append(pause)
    for kind, found in sorted(kinds.items()):
        longest = max(found, key=lambda pause: pause.seconds)
        nearest = max(found, key=lambda pause: pause.seconds - pause.bound)
        yield Row(
            f"pause: {kind}",
            f"<= load ({times.load:.2f} s) + replay ({1000 * times.step:.0f} ms a token) + {_SLACK_SECONDS:g} s",
            f"{longest.seconds:.2f} s at most (bound there {longest.bound:.2f} s); "
            f"{nearest.bound - nearest.seconds:.2f} s to spare at the closest, {len(found)} pauses",
            nearest.seconds <= nearest.bound + slack,
        )
