"""Our engine as the server has it, a child process behind its pipe: `python -m bench.drivers.ours OPTIONS-AS-JSON`."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from contextlib import aclosing
from typing import Any

from bench.wire import answer_all
from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.engine.vocabulary import Controls, Request, Sampled


class Driver:
    """`options` has model, threads, rows and kv_tokens."""

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

    def answer(self, question: dict[str, Any]) -> object:
        match question["op"]:
            case "run":
                return self.runner.run(self.run(question["jobs"], question["concurrency"]))
            case "facts":
                return {"weights": self.engine.card.weights}
        raise ValueError(f"unknown question {question['op']!r}")

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

    async def one(self, job: dict[str, Any]) -> dict[str, object]:
        request = Request(
            id=f"bench-{next(self.ids)}",
            prompt=tuple(job["prompt"]),
            seeds=(job["seed"],),
            max_tokens=job["max_tokens"],
            controls=Controls(temperature=job["temperature"], top_k=40, top_p=0.95),
        )
        begin = time.perf_counter()
        first: float | None = None
        tokens: list[int] = []
        async with aclosing(self.engine.submit(request)) as events:
            async for event in events:
                if isinstance(event, Sampled):
                    first = first or time.perf_counter() - begin
                    tokens.append(event.token)
        return {"first_token_s": first, "tokens": len(tokens), "output": tokens}


if __name__ == "__main__":
    with asyncio.Runner() as asyncio_runner:
        driver = Driver(asyncio_runner, json.loads(sys.argv[1]))
        answer_all(driver.answer)
        asyncio_runner.run(driver.engine.close())
