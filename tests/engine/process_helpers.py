"""What the tests of the engine's process share: engines that are started and closed, and whole answers."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from itertools import count

from engine_helpers import request

from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.engine.vocabulary import Controls, Sampled

FAKE = EngineOptions("none", kv_tokens=64 * 40, max_rows=16, loader="friendli_endpoint.engine.fake_model:load")
SAMPLED = Controls(temperature=1.3)
NAMES = map("r{}".format, count())


def local(loader, model="none"):
    """Options for a loader in a test file, which the child imports from the tests' folder."""
    return EngineOptions(model, loader=f"{loader.__module__}:{loader.__name__}")


def a_request(**more):
    return request(next(NAMES), [1, 2, 3], controls=SAMPLED, **more)


@asynccontextmanager
async def started(options, **seconds):
    engine = EngineProcess(options, **seconds)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def tokens_of(engine, asked):
    """All tokens per choice."""
    tokens = [[] for _ in asked.seeds]
    async with aclosing(engine.submit(asked)) as events:
        async for event in events:
            if isinstance(event, Sampled):
                tokens[event.choice].append(event.token)
    return tokens
