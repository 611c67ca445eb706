"""Sends a stream of events: a status line when there is something to say, heartbeats until then, errors inside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from friendli_endpoint.server.errors import log_unforeseen, problem_of
from friendli_endpoint.server.sse import DONE, HEARTBEAT, EventShape, event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Send

    from friendli_endpoint.server.chunks import Chunk

_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


class _Reply:
    """A reply that begins with its first bytes, so that what fails before them can still have a status of its own."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def write(self, data: bytes) -> None:
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": False})


async def send_stream(
    send: Send, batches: AsyncGenerator[list[Chunk]], shape: EventShape, request_id: str, heartbeat_seconds: float
) -> None:
    """Send every batch as it comes, then `[DONE]`. What fails after the start is the last event of the stream."""
    reply = _Reply(send)
    try:
        await _send_all(reply, batches, shape, heartbeat_seconds)
    except Exception as error:
        if not reply.started:
            raise
        log_unforeseen(error, request_id)
        await reply.end(event(problem_of(error).encode(request_id)))


async def _send_all(
    reply: _Reply, batches: AsyncGenerator[list[Chunk]], shape: EventShape, heartbeat_seconds: float
) -> None:
    batch = await _first(reply, batches, heartbeat_seconds)
    await reply.write(shape.encode(batch))
    async for batch in batches:
        if data := shape.encode(batch):
            await reply.write(data)
    await reply.end(DONE)


async def _first(reply: _Reply, batches: AsyncGenerator[list[Chunk]], heartbeat_seconds: float) -> list[Chunk]:
    """The first batch; while it is not there, a comment now and then tells the client that it is not forgotten."""
    coming = asyncio.ensure_future(anext(batches))
    try:
        while not coming.done():
            await asyncio.wait({coming}, timeout=heartbeat_seconds)
            if not coming.done():
                await reply.write(HEARTBEAT)
        return coming.result()
    finally:
        coming.cancel()
        await asyncio.wait({coming})
