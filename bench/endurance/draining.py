"""A server is told to stop under load: what it has let in is answered, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.endurance import fake_server
from bench.endurance.draining_kit import Stopped, stopped
from bench.endurance.rows import Row
from bench.endurance.served_kit import FRIENDLI, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROWS: Final = 8
_MOST_REQUESTS: Final = 16
_DRAIN_SECONDS: Final = 60.0
_AT_ONCE_SECONDS: Final = 10.0
_QUICK_SECONDS: Final = 60.0
"""What the short form allows besides, so that only what does not end breaks it."""
_SETTINGS: Final = f"""
[server]
port = 0
drain_seconds = {_DRAIN_SECONDS}
[endpoints.demo]
model = "smollm2-135m"
max_rows = {_ROWS}
"""


@dataclass(frozen=True)
class _Kind:
    """A server to be stopped `times` often, under requests for so many tokens each."""

    name: str
    command: tuple[str, ...]
    tokens: int
    times: int
    signals: int = 1


def measure(*, quick: bool) -> Iterator[Row]:
    yield from on_fake_engine(quick=quick)
    yield from on_real_model(quick=quick)


def on_fake_engine(*, quick: bool) -> Iterator[Row]:
    """Often, since its server starts quickly; and with a second signal."""
    command = fake_server.command(rows=_ROWS, step_seconds=0.005)
    yield from _stopping(_Kind("fake engine", command, 100, 3 if quick else 50), quick=quick)
    at_once = _Kind("fake engine, a second SIGTERM at once", command, 1000, 1 if quick else 5, signals=2)
    yield _ends(at_once, _stop_often(at_once), _AT_ONCE_SECONDS, quick=quick)


def on_real_model(*, quick: bool) -> Iterator[Row]:
    yield from _stopping(_Kind("real model", FRIENDLI, 40, 1 if quick else 3), quick=quick)


def _stopping(kind: _Kind, *, quick: bool) -> Iterator[Row]:
    ends = _stop_often(kind)
    yield _answers(kind, ends)
    yield _ends(kind, ends, _DRAIN_SECONDS, quick=quick)


def _stop_often(kind: _Kind) -> list[Stopped]:
    return [_stop(kind, random.Random(number)) for number in range(kind.times)]  # noqa: S311  not for security


def _stop(kind: _Kind, rng: random.Random) -> Stopped:
    bodies = [_body(number, kind.tokens) for number in range(rng.randint(_MOST_REQUESTS // 2, _MOST_REQUESTS))]
    with serving(_SETTINGS, kind.command) as served:
        return asyncio.run(stopped(served, bodies, rng, signals=kind.signals))


def _body(number: int, tokens: int) -> dict[str, object]:
    """Every other one a stream."""
    prompt = f"The sea at night, {number}"
    return {"model": "demo", "prompt": prompt, "max_tokens": tokens, "seed": number, "stream": number % 2 == 0}


def _answers(kind: _Kind, ends: Sequence[Stopped]) -> Row:
    lost = [trouble for end in ends for trouble in end.lost]
    fates = [fate for end in ends for fate in (*end.before, *end.after)]
    whole, waiting = sum(fate.whole for fate in fates), sum(end.waiting for end in ends)
    refused = sum(fate.refused for fate in fates)
    got = (
        f"{len(lost)} lost, {whole} whole ({waiting} of them still queued at the signal), {refused} refused"
        + "".join(f"; {trouble}" for trouble in lost[:1])
    )
    what = f"{kind.times} x SIGTERM under 8 to {_MOST_REQUESTS} requests, {kind.name}"
    return Row(what, "0 admitted requests lost, others 503 with Retry-After or not connected", got, not lost)


def _ends(kind: _Kind, ends: Sequence[Stopped], most_seconds: float, *, quick: bool) -> Row:
    statuses = {end.status for end in ends}
    left = [each for end in ends for each in end.left]
    longest = max(end.seconds for end in ends)
    must = f"status 0 within {most_seconds:g} s; no child, no journal, the ledger as answered"
    got = f"status {sorted(statuses)}, {longest:.2f} s at most; left: {', '.join(left) or 'nothing'}"
    held = statuses == {0} and not left and longest <= most_seconds + quick * _QUICK_SECONDS
    return Row(f"the server's end, {kind.times} times, {kind.name}", must, got, held)
