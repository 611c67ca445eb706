"""Our engine as the server has it, a child process behind its pipe: `python -m bench.drivers.ours OPTIONS-AS-JSON`."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.wire import answer_all
from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.engine.vocabulary import Controls, Request, Sampled
from friendli_endpoint.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


@dataclass(eq=False)
class _Stream:
    """When each token of a job came; `begun` with the first one, or when there will be none."""

    begun: asyncio.Event
    arrivals: list[float] = field(default_factory=list)

    async def follow(self, tokens: AsyncIterator[int]) -> None:
        try:
            async for _ in tokens:
                self.arrivals.append(time.perf_counter())
                self.begun.set()
        finally:
            self.begun.set()


class Driver:
    """`options` has model, threads, rows, kv_tokens, and adapters by name."""

    def __init__(self, runner: asyncio.Runner, options: dict[str, Any]) -> None:
        self.runner = runner
        self.ids = itertools.count()
        self.engine = EngineProcess(
            EngineOptions(
                model=options["model"],
                threads=options["threads"],
                kv_tokens=options["kv_tokens"],
                max_rows=max(options["rows"], 2),
            )
        )
        runner.run(self.engine.start())
        runner.run(self.add(options["adapters"]))

    def answer(self, question: dict[str, Any]) -> object:
        match question["op"]:
            case "run":
                return self.runner.run(self.run(question["jobs"], question["concurrency"]))
            case "watch":
                return self.runner.run(self.watch(question["jobs"], question["pause_s"], question["steps"]))
            case "add":
                return self.runner.run(self.add(question["adapters"]))
            case "facts":
                return {"weights": self.engine.card.weights}
        raise ValueError(f"unknown question {question['op']!r}")

    async def add(self, adapters: Mapping[str, str]) -> None:
        for name, path in adapters.items():
            await self.engine.add_adapter(name, path)

    async def run(self, jobs: list[dict[str, Any]], concurrency: int) -> dict[str, object]:
        """Workers take the next job when they have ended one."""
        outcomes: list[dict[str, object]] = [{}] * len(jobs)
        todo = iter(enumerate(jobs))

        async def work() -> None:
            for number, job in todo:
                outcomes[number] = await self.one(job)

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
        return {"seconds": time.perf_counter() - begin, "outcomes": outcomes}

    async def watch(
        self, jobs: list[dict[str, Any]], pause_s: float, steps: Sequence[dict[str, Any]]
    ) -> dict[str, object]:
        """Take the `steps` while the jobs run, which are longer; when each step began and ended, and each token came.

        A step has `add`, adapters by name, or `job`, or neither: then it is a pause.
        """
        streams = [_Stream(asyncio.Event()) for _ in jobs]
        running = [
            asyncio.create_task(stream.follow(self.tokens(job))) for stream, job in zip(streams, jobs, strict=True)
        ]
        for stream in streams:
            await stream.begun.wait()
        spans = []
        for step in steps:
            await asyncio.sleep(pause_s)
            begin = time.perf_counter()
            await self.take(step, pause_s)
            spans.append((begin, time.perf_counter()))
        await asyncio.sleep(pause_s)
        if any(task.done() for task in running):
            raise ValueError("a stream ended before the last step")
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        return {"spans": spans, "arrivals": [stream.arrivals for stream in streams]}

    async def take(self, step: dict[str, Any], pause_s: float) -> None:
        if "add" in step:
            await self.add(step["add"])
        elif "job" in step:
            await self.one(step["job"])
        else:
            await asyncio.sleep(pause_s)

    async def one(self, job: dict[str, Any]) -> dict[str, object]:
        """What came of a job; fewer tokens than asked when it failed."""
        begin = time.perf_counter()
        first: float | None = None
        tokens: list[int] = []
        try:
            async for token in self.tokens(job):
                first = first or time.perf_counter() - begin
                tokens.append(token)
        except EndpointError as error:
            print(f"a job failed: {error}", file=sys.stderr)
        return {"first_token_s": first, "tokens": len(tokens), "output": tokens}

    async def tokens(self, job: dict[str, Any]) -> AsyncIterator[int]:
        request = Request(
            id=f"bench-{next(self.ids)}",
            prompt=tuple(job["prompt"]),
            seeds=(job["seed"],),
            max_tokens=job["max_tokens"],
            controls=Controls(temperature=job["temperature"], top_k=40, top_p=0.95),
            adapter=job["adapter"],
            scope=job["scope"],
        )
        async with aclosing(self.engine.submit(request)) as events:
            async for event in events:
                if isinstance(event, Sampled):
                    yield event.token


if __name__ == "__main__":
    with asyncio.Runner() as asyncio_runner:
        driver = Driver(asyncio_runner, json.loads(sys.argv[1]))
        answer_all(driver.answer)
        asyncio_runner.run(driver.engine.close())
