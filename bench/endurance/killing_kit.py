"""Ends the engines of a server, in several ways and at random moments, while streams run."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from bench.endurance.served_kit import Served
    from bench.endurance.streams_kit import Streams

_PATIENCE_SECONDS: Final = 300
_LOOK_SECONDS: Final = 0.02
_SPREAD_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Kill:
    """When, how, and how many steps a new engine replays: the most tokens that a live stream had."""

    when: float
    sign: signal.Signals
    steps: int


async def kill_often(
    served: Served, streams: Streams, signs: Sequence[signal.Signals], rng: random.Random, load_seconds: float
) -> list[Kill]:
    """One after the other: at some moment after all streams went on, or, one in five, while a new engine comes up."""
    kills: list[Kill] = []
    killed: int | None = None
    for sign in signs:
        early = killed is not None and sign is not signal.SIGSTOP and rng.random() < 0.2  # a load may take very long
        if killed is not None and not early:
            await replaced(served, killed)
        if not early:
            await _all_go_on(streams)
        await asyncio.sleep(rng.uniform(0, load_seconds if early else _SPREAD_SECONDS))
        killed = await _engine(served)
        kills.append(Kill(time.monotonic(), sign, max((len(each.tokens) for each in streams.live), default=0)))
        os.kill(killed, sign)
    return kills


async def replaced(served: Served, pid: int) -> None:
    """Return once this process is gone, and another one works."""
    async with httpx2.AsyncClient(base_url=served.url) as client:
        while pid in served.children or (await client.get("/ready")).is_error:  # noqa: ASYNC110 - has no event
            await asyncio.sleep(_LOOK_SECONDS)


async def _all_go_on(streams: Streams) -> None:
    """Return once each live stream has brought something from now on."""
    since = time.monotonic()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not all(each.tokens and each.times[-1] > since for each in streams.live):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_LOOK_SECONDS)


async def _engine(served: Served) -> int:
    """The engine's process, once there is one."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not served.children:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_LOOK_SECONDS)
    return served.children[0]
