"""Adapters added, replaced and removed over HTTP while requests run: each request has to get its adapter's tokens."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import httpx2

from bench import http_load
from bench.adapters.plan import FEW
from bench.server import our_server
from bench.wire import Job
from bench.workload import prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.adapters.plan import AdapterPlan
    from bench.wire import Output

BYSTANDERS = 8
CHANGING = 4  # routes
PROMPTS = 2
NEW_TOKENS = 24


@dataclass
class ChangeFigures:
    """Seconds of the calls by method; requests; sentences of what failed; requests with other tokens than alone."""

    calls: dict[str, list[float]] = field(default_factory=lambda: {"PUT": [], "DELETE": []})
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    changed: int = 0

    @property
    def changes(self) -> int:
        return sum(map(len, self.calls.values()))


def measure(adapters: AdapterPlan) -> ChangeFigures:
    """`CHANGING` routes are added, replaced and removed in rounds, beside streams to others that stay."""
    files = adapters.first(FEW)
    prompts = [prompt(adapters.plan.encode, 900_000 + number, 16) for number in range(PROMPTS)]
    with our_server(adapters.plan, files) as url:
        figures = asyncio.run(_measure(url, files, prompts, adapters.extent.rounds))
    print(f"{figures.changes} changes: {len(figures.failed)} failed, {figures.changed} changed", file=sys.stderr)
    for sentence in figures.failed[:5]:
        print(sentence, file=sys.stderr)
    return figures


async def _measure(url: str, files: Mapping[str, str], prompts: Sequence[list[int]], rounds: int) -> ChangeFigures:
    target = http_load.ours(url)
    jobs = [Job(one, NEW_TOKENS, adapter=name) for one in prompts for name in (None, *files)]
    alone = [(job, (await http_load.one(target, job)).output) for job in jobs]
    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
        load = Load(target, client, files, alone)
        bystanders = [asyncio.create_task(load.stand_by(number)) for number in range(BYSTANDERS)]
        await asyncio.gather(*(load.change(f"changing{number}", rounds) for number in range(CHANGING)))
        load.over = True
        await asyncio.gather(*bystanders)
    return load.figures


class Load:
    """What runs at once, and what has come of it so far: `figures`.

    `files` are adapters by name, `alone` jobs with their tokens when nothing else runs. `over` ends the bystanders.
    """

    def __init__(
        self,
        target: http_load.Target,
        client: httpx2.AsyncClient,
        files: Mapping[str, str],
        alone: Sequence[tuple[Job, Output]],
    ) -> None:
        self._target = target
        self._client = client
        self._files = files
        self._alone = alone
        self.figures = ChangeFigures()
        self.over = False

    async def stand_by(self, number: int) -> None:
        """Requests to the base model and to adapters that stay, one after another."""
        rng = random.Random(number)  # noqa: S311  not for security
        while not self.over:
            job, tokens = rng.choice(self._alone)
            await self._request(job, tokens)

    async def change(self, route: str, rounds: int) -> None:
        """Add an adapter, replace it under a running request, and remove the other one under both."""
        rng = random.Random(route)  # noqa: S311  not for security
        for _ in range(rounds):
            first, second = rng.sample(list(self._files), 2)
            await self._call("PUT", route, 201, {"source": self._files[first]})
            before = await self._begin(rng, route, first)
            await self._call("PUT", route, 200, {"source": self._files[second]})
            after = await self._begin(rng, route, second)
            await self._call("DELETE", route, 204)
            await asyncio.gather(before, after)

    async def _begin(self, rng: random.Random, route: str, name: str) -> asyncio.Task[None]:
        """A request that has got its first token, to a route that leads to the adapter `name`."""
        job, tokens = rng.choice([each for each in self._alone if each[0].adapter == name])
        begun = asyncio.Event()
        task = asyncio.create_task(self._request(replace(job, adapter=route), tokens, begun))
        await begun.wait()
        return task

    async def _request(self, job: Job, tokens: Output, begun: asyncio.Event | None = None) -> None:
        self.figures.requests += 1
        try:
            outcome = await http_load.one(self._target, job, begun)
        except http_load.LoadError as error:
            self.figures.failed.append(f"{job.adapter or 'the base model'}: {error}")
        else:
            self.figures.changed += outcome.output != tokens

    async def _call(self, method: str, route: str, expected: int, body: object = None) -> None:
        begin = time.perf_counter()
        try:
            reply = await self._client.request(method, f"/dedicated/v1/endpoints/demo/adapters/{route}", json=body)
        except httpx2.HTTPError as error:
            self.figures.failed.append(f"{method} {route}: {error}")
        else:
            if reply.status_code != expected:
                self.figures.failed.append(f"{method} {route}: {reply.status_code}, {reply.text}")
        self.figures.calls[method].append(time.perf_counter() - begin)
