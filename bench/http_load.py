"""A load generator for completion endpoints: plain asyncio streams, one connection for each request.

It does little while the clock runs, since it shares the cores with the server: events are kept as bytes and read later.
Connections are not kept, because llama.cpp's server may close one without a word while the next request is on its way.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench.wire import Outcome, Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bench.wire import Job

UNLIKELY = 3  # a control token in every vocabulary here: an end of sequence that never comes


@dataclass(frozen=True)
class Target:
    """Where completions are served and how a job is said there."""

    url: str
    path: str
    body: Callable[[Job], dict[str, object]]


def ours(url: str) -> Target:
    def body(job: Job) -> dict[str, object]:
        return {
            "model": f"demo:{job.adapter}" if job.adapter else "demo",
            "tokens": job.prompt,
            "max_tokens": job.max_tokens,
            "temperature": job.temperature,
            "top_k": 40,
            "top_p": 0.95,
            "seed": [job.seed],
            "eos_token": [UNLIKELY],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    return Target(url, "/dedicated/v1/completions", body)


def llama(url: str, *, cache: bool) -> Target:
    def body(job: Job) -> dict[str, object]:
        return {
            "prompt": job.prompt,
            "max_tokens": job.max_tokens,
            "temperature": job.temperature,
            "top_k": 40,
            "top_p": 0.95,
            "min_p": 0.0,
            "seed": job.seed,
            "ignore_eos": True,
            "cache_prompt": cache,
            "stream": True,
        }

    return Target(url, "/v1/completions", body)


class LoadError(Exception):
    """The server did not answer as a completion endpoint does; the message has what it said."""


def run(target: Target, jobs: Sequence[Job], concurrency: int) -> Run:
    """Work off the jobs, `concurrency` at a time; LoadError when one gave another number of tokens than asked."""
    return asyncio.run(_run(target, jobs, concurrency))


async def _run(target: Target, jobs: Sequence[Job], concurrency: int) -> Run:
    replies: list[_Reply] = [_Reply(0.0, [])] * len(jobs)
    todo = iter([(number, json.dumps(target.body(job)).encode()) for number, job in enumerate(jobs)])

    async def work() -> None:
        for number, body in todo:
            replies[number] = await _one(target, body)

    begin = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds = time.perf_counter() - begin
    return Run(seconds, [reply.read(job.max_tokens) for job, reply in zip(jobs, replies, strict=True)])


@dataclass(frozen=True)
class _Reply:
    first_token_s: float
    events: list[bytes]

    def read(self, tokens: int) -> Outcome:
        """Texts joined, or tokens where the server gives them; the number of tokens as its usage says."""
        chunks: list[dict[str, Any]] = [json.loads(event[6:]) for event in self.events if event.startswith(b"data: {")]
        count = next((chunk["usage"]["completion_tokens"] for chunk in chunks if chunk.get("usage")), None)
        if count != tokens:
            raise LoadError(f"{count} tokens instead of {tokens}: {self.events[-2:]}")
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        sampled = [choice["token"] for choice in choices if choice.get("token") is not None]
        if sampled:
            return Outcome(self.first_token_s, count, sampled)
        return Outcome(self.first_token_s, count, "".join(choice["text"] for choice in choices))


async def one(target: Target, job: Job, begun: asyncio.Event | None = None) -> Outcome:
    """A single job; `begun` is set at its first token, and in the end. LoadError when it fails."""
    try:
        reply = await _one(target, json.dumps(target.body(job)).encode(), begun)
    except (OSError, EOFError) as error:
        raise LoadError(f"the connection broke: {error}") from error
    finally:
        if begun is not None:
            begun.set()
    return reply.read(job.max_tokens)


async def _one(target: Target, body: bytes, begun: asyncio.Event | None = None) -> _Reply:
    place = urlsplit(target.url)
    head = (
        f"POST {target.path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
        f"accept: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(head.encode() + body)
    arrivals: list[float] = []
    content: list[bytes] = []
    async for chunk in _chunks(reader):
        if b"data: " in chunk:  # and not a heartbeat
            arrivals.append(time.perf_counter() - begin)
            if begun is not None:
                begun.set()
        content.append(chunk)
    writer.close()
    return _Reply(arrivals[0] if arrivals else 0.0, b"".join(content).split(b"\n\n"))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200") or b"chunked" not in head.lower():
        raise LoadError((head + await reader.read(2000)).decode(errors="replace"))
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
