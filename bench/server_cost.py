"""What the server costs per token: processor time of its process, engine excluded, over many streams at once.

    .venv/bin/python bench/server_cost.py [--streams 32] [--tokens-per-second 1400] [--seconds 10]

The engine is a clock that posts a token to every stream at each step, as the real one does; the load generator is a
process of its own and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from typing import TYPE_CHECKING

import uvloop
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from friendli_endpoint.config import Settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.engine.vocabulary import Finished, Prefilled, Request, Sampled, TokenEvent
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.host import Stop, host
from friendli_endpoint.server.listen import listen
from friendli_endpoint.server.service import open_service
from friendli_endpoint.text import Tokenizer
from friendli_endpoint.text.spelling import BYTE_LEVEL, byte_level_alphabet

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator


class ClockEngine(FakeEngine):
    """Posts one token per live request and step, all in one go."""

    def __init__(self, steps_per_second: float) -> None:
        super().__init__()
        self._period = 1 / steps_per_second
        self._queues: dict[str, asyncio.Queue[TokenEvent | None]] = {}
        self._left: dict[str, int] = {}

    async def start(self) -> None:
        await super().start()
        self._clock = asyncio.create_task(self._tick())

    async def submit(self, request: Request) -> AsyncGenerator[TokenEvent]:
        queue = self._queues[request.id] = asyncio.Queue()
        self._left[request.id] = request.max_tokens
        queue.put_nowait(Prefilled(request.id, 0))
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.pop(request.id, None)

    async def _tick(self) -> None:
        due = time.monotonic()
        while True:
            due += self._period
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for key, queue in list(self._queues.items()):
                if self._left[key] == 0:
                    queue.put_nowait(Finished(key, 0, "length"))
                    queue.put_nowait(None)
                    del self._queues[key]
                    continue
                self._left[key] -= 1
                queue.put_nowait(Sampled(key, 0, 97 + self._left[key] % 26))


def byte_tokenizer() -> Tokenizer:
    backend = Backend(models.BPE(vocab=byte_level_alphabet(), merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, BYTE_LEVEL, eos_tokens=(256,), added={256: True})


def serve(listener: socket.socket, steps_per_second: float, report: multiprocessing.connection.Connection) -> None:
    async def main() -> None:
        stop = Stop()
        deployment = Deployment("demo", ClockEngine(steps_per_second), byte_tokenizer())
        service = open_service([deployment], Settings())
        hosting = asyncio.create_task(host(service, listener, stop, lambda: report.send("ready")))
        while await asyncio.to_thread(report.recv) != "stop":
            used = resource.getrusage(resource.RUSAGE_SELF)
            report.send(used.ru_utime + used.ru_stime)
        stop.ask()
        await hosting

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def one_stream(port: int, tokens: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": "demo", "prompt": "x", "max_tokens": tokens, "stream": True}).encode()
    head = "POST /dedicated/v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    seen = 0
    while True:
        data = await reader.readuntil(b"\r\n")
        seen += b'"token":' in data
        if b"[DONE]" in data or not data:
            break
        if data == b"0\r\n":
            break
    writer.close()
    return seen


async def load(port: int, streams: int, tokens: int) -> int:
    return sum(await asyncio.gather(*[one_stream(port, tokens) for _ in range(streams)]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens-per-second", type=float, default=1400)
    parser.add_argument("--seconds", type=float, default=10)
    flags = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    listener = listen("127.0.0.1", 0)
    steps = flags.tokens_per_second / flags.streams
    process = multiprocessing.get_context("fork").Process(target=serve, args=(listener, steps, theirs))
    process.start()
    ours.recv()
    ours.send("cpu")
    before = ours.recv()
    tokens = min(int(steps * flags.seconds), 500)
    begin = time.monotonic()
    seen = asyncio.run(load(listener.getsockname()[1], flags.streams, tokens))
    wall = time.monotonic() - begin
    ours.send("cpu")
    cpu = ours.recv() - before
    ours.send("stop")
    process.join()
    rate = f"{seen} tokens in {wall:.1f} s, {seen / wall:.0f}/s"
    print(f"{rate}: {cpu / seen * 1e6:.1f} us per token, {cpu / wall:.1%} of one core")


if __name__ == "__main__":
    main()
