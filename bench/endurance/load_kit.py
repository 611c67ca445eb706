"""Requests that come at moments of their own, whatever the server does (open loop), or one after the other (closed)."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.endurance.line_kit import CutError, Pool, get, post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.endurance.line_kit import Reply


@dataclass(frozen=True)
class Sort:
    """The requests of one kind of client: outputs of `shortest` to `longest` tokens, half of them as streams."""

    name: str
    shortest: int = 16
    longest: int = 48
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Tokens of a request."""
        return (self.shortest + self.longest) / 2

    def request(self, rng: random.Random, number: int) -> tuple[bytes, int]:
        """A request, and how many tokens it asks for."""
        tokens = rng.randint(self.shortest, self.longest)
        stream = number % 2 == 0
        body = {
            "model": "demo",
            "prompt": f"{self.name} {number}",
            "max_tokens": tokens,
            "min_tokens": tokens,
            "seed": number,
            "stream": stream,
        }
        usage = {"stream_options": {"include_usage": True}} if stream else {}
        return post(body | usage, self.headers), tokens


@dataclass(frozen=True)
class Asked:
    """What became of a request that asked for `tokens`; status 0: the reply was cut."""

    sent: float
    done: float
    status: int
    retry_after: str
    whole: bool
    tokens: int

    @property
    def seconds(self) -> float:
        return self.done - self.sent


async def open_loop(pool: Pool, sort: Sort, per_second: float, seconds: float, seed: int) -> list[Asked]:
    """Poisson arrivals for so long; then all replies are awaited. Who is refused does not come back."""
    rng = random.Random(seed)  # noqa: S311 - the same every time
    asking: list[asyncio.Task[Asked]] = []
    due = until = time.perf_counter()
    until += seconds
    while (due := due + rng.expovariate(per_second)) < until:
        await asyncio.sleep(due - time.perf_counter())
        asking.append(asyncio.create_task(_ask(pool, *sort.request(rng, len(asking)))))
    return await asyncio.gather(*asking)


async def closed_loop(pool: Pool, sort: Sort, users: int, seconds: float, seed: int) -> list[Asked]:
    """`users` that each ask again once they are answered, until the time is over."""
    rng = random.Random(seed)  # noqa: S311 - the same every time
    until = time.perf_counter() + seconds
    requests = _until(until, sort, rng)

    async def user() -> list[Asked]:
        return [await _ask(pool, *request) for request in requests]

    return [asked for each in await asyncio.gather(*(user() for _ in range(users))) for asked in each]


def goodput(asked: list[Asked], since: float, until: float) -> float:
    """Tokens a second of the requests that were answered whole in that time."""
    return sum(each.tokens for each in asked if each.whole and since <= each.done < until) / (until - since)


async def probe(pool: Pool, every: float) -> list[float]:
    """Seconds that `/health` takes, asked until this is cancelled; a wrong answer is `inf`."""
    times: list[float] = []
    try:
        while True:
            reply, sent = await pool.ask(get("/health"))
            times.append(reply.done - sent if reply.status == 200 else float("inf"))
            await asyncio.sleep(every)
    except asyncio.CancelledError:
        return times
    except (CutError, OSError):
        return [*times, float("inf")]


def quantile(times: list[float], share: float) -> float:
    """In seconds; nan of nothing."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] if times else float("nan")


def _until(until: float, sort: Sort, rng: random.Random) -> Iterator[tuple[bytes, int]]:
    number = 0
    while time.perf_counter() < until:
        number += 1
        yield sort.request(rng, number)


async def _ask(pool: Pool, request: bytes, tokens: int) -> Asked:
    sent = time.perf_counter()
    try:
        reply, sent = await pool.ask(request)
    except (CutError, OSError):
        return Asked(sent, time.perf_counter(), 0, "", whole=False, tokens=tokens)
    return Asked(sent, reply.done, reply.status, reply.headers.get("retry-after", ""), _is_whole(reply, tokens), tokens)


def _is_whole(reply: Reply, tokens: int) -> bool:
    """Whether it is an answer with so many tokens."""
    if reply.status != 200:
        return False
    body = reply.body
    if "event-stream" in reply.headers["content-type"]:
        return body.endswith(b"data: [DONE]\n\n") and body.count(b'"token":') == tokens
    return bool(json.loads(body)["usage"]["completion_tokens"] == tokens)
