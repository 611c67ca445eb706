"""A request that ends the engine whenever it is tried: it is refused, and those beside it get their tokens exactly."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2

from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from bench.endurance.streams_kit import PATH, Streams
from friendli_endpoint.config import load_settings
from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.run import serve
from friendli_endpoint.text.fake import byte_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.engine.step_model import Batch, Logits

_COMMAND: Final = (sys.executable, "-m", "bench.endurance.poison")
_POISON: Final = 96
"""A context that begins with this token ends the process once it is a few tokens long."""
_LENGTH: Final = 12
_INNOCENTS: Final = 15


class _Poisonable(FakeStepModel):
    def forward(self, batch: Batch) -> Logits:
        logits = super().forward(batch)
        for row in range(len(batch.past_lens)):
            context = self._context(batch, row)
            if context[0] == _POISON and len(context) >= _LENGTH:
                os.kill(os.getpid(), signal.SIGKILL)
        return logits


def load(options: EngineOptions) -> FakeStepModel:
    """For `EngineOptions.loader`."""
    return _Poisonable(blocks=1000)


def measure(*, quick: bool) -> Iterator[Row]:
    """The same, short or long: it takes a few seconds."""
    with serving("[server]\nport = 0\n", _COMMAND) as served:
        bodies = [_body([1, 2, 3 + number]) for number in range(_INNOCENTS)]
        calm, beside = Streams(served.url, bodies), Streams(served.url, bodies)
        asyncio.run(calm.run(_INNOCENTS, range(_INNOCENTS)))
        refusals = asyncio.run(_with_poison(served.url, beside))
    yield _innocents(calm, beside)
    yield from (_refusal(what, reply) for what, reply in zip(("the poison", "it again"), refusals, strict=True))


def _body(tokens: list[int]) -> dict[str, object]:
    return {"model": "demo", "tokens": tokens, "max_tokens": 150, "seed": 5, "temperature": 1.3}


async def _with_poison(url: str, beside: Streams) -> list[httpx2.Response]:
    running = asyncio.create_task(beside.run(_INNOCENTS, range(_INNOCENTS)))
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        replies = [await client.post(PATH, json=_body([_POISON, 1, 2])) for _ in range(2)]
    await running
    return replies


def _innocents(calm: Streams, beside: Streams) -> Row:
    expected = {each.body: each.tokens for each in calm.over}
    same = sum(each.whole and each.tokens == expected[each.body] for each in beside.over)
    return Row("streams beside a poison", f"all {_INNOCENTS} exact", f"{same} exact", same == _INNOCENTS)


def _refusal(what: str, reply: httpx2.Response) -> Row:
    error: dict[str, Any] = reply.json().get("error", {})
    got = f"{reply.status_code} {error.get('type')}: {error.get('message')}"
    return Row(what, "422 quarantined", got, (reply.status_code, error.get("type")) == (422, "quarantined"))


def main() -> None:
    """Serve the model that can be poisoned."""
    options = EngineOptions("none", max_rows=32, loader="bench.endurance.poison:load")
    serve(
        load_settings(Path(sys.argv[2])),
        load=lambda *_: [Deployment("demo", EngineProcess(options), byte_tokenizer())],
    )


if __name__ == "__main__":
    main()
