"""POST /dedicated/v1/completions."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING

from friendli._fold import CompletionFold
from friendli.models import CompletionsResult, CompletionsUsage, PromptTokensDetails
from friendli_endpoint.server.chunks import Chunk, Continuation, EndChunk, TokenChunk, UsageChunk, chunks
from friendli_endpoint.server.connection import while_connected
from friendli_endpoint.server.deadline import until
from friendli_endpoint.server.errors import send_json
from friendli_endpoint.server.limits import read_json_body
from friendli_endpoint.server.order import Order, make_order, read_body
from friendli_endpoint.server.sse import EventShape, FirstShape, TodaysShape, wants_first_generation
from friendli_endpoint.server.stream import send_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.server.deployment import Deployment
    from friendli_endpoint.server.health import Gate
    from friendli_endpoint.server.limits import Admission


class Completions:
    """The route, from the body's bytes to the last byte of the reply."""

    def __init__(self, deployment: Deployment, settings: ServerSettings, admission: Admission, gate: Gate) -> None:
        self._deployment = deployment
        self._settings = settings
        self._admission = admission
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._gate.check()
        body = await read_json_body(scope, receive, self._settings)
        with ExitStack() as held:
            held.enter_context(self._admission.enter())
            accepted = asyncio.get_running_loop().time()
            order = await self._order(body, scope["request_id"].removeprefix("req-"), held)
            self._gate.check()
            # What is held is given back before the last bytes go out: a client that comes back at once finds room.
            source = self._chunks(order, held.close)
            if order.timeout_seconds is not None:
                source = until(accepted + order.timeout_seconds, source)
            await while_connected(receive, self._reply(scope, send, order, source))

    async def _order(self, body: bytes, key: str, held: ExitStack) -> Order:
        """What `body` asks for; its adapter is held from before it is tokenized."""
        asked = await asyncio.to_thread(read_body, body, self._settings)
        adapter = held.enter_context(self._deployment.hold(asked.model))
        return await asyncio.to_thread(make_order, asked, key, adapter, self._deployment, self._settings)

    async def _reply(self, scope: Scope, send: Send, order: Order, source: AsyncGenerator[list[Chunk]]) -> None:
        completion_id = scope["request_id"].replace("req-", "cmpl-")
        async with aclosing(source) as batches:
            if order.stream:
                shape = self._shape(scope, order, completion_id)
                await send_stream(send, batches, shape, scope["request_id"], self._settings.heartbeat_seconds)
            else:
                result = await fold(batches, completion_id, self._deployment.id, logprobs=order.logprobs)
                await send_json(send, result.model_dump_json().encode())

    def _chunks(self, order: Order, when_done: Callable[[], None]) -> AsyncGenerator[list[Chunk]]:
        n = len(order.requests[0].seeds)
        continuations = [
            Continuation(request, number * n, self._deployment.tokenizer, order.stop, order.stop_tokens)
            for number, request in enumerate(order.requests)
        ]
        return chunks(continuations, self._deployment.engine, when_done)

    def _shape(self, scope: Scope, order: Order, completion_id: str) -> EventShape:
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        if wants_first_generation(agent.decode("latin-1")):
            return FirstShape(logprobs=order.logprobs)
        return TodaysShape(completion_id, self._deployment.id, int(time.time()), include_usage=order.include_usage)


async def fold(
    batches: AsyncGenerator[list[Chunk]], completion_id: str, model: str, *, logprobs: bool
) -> CompletionsResult:
    """The whole reply: what the SDK would make of the stream. `logprobs`: whether they were asked for."""
    folded = CompletionFold(logprobs=logprobs)
    usage = CompletionsUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    async for batch in batches:
        for chunk in batch:
            match chunk:
                case TokenChunk():
                    folded.token(chunk.index, chunk.text, chunk.token, chunk.logprobs, chunk.rows)
                case EndChunk(index=index, reason=reason, seed=seed):
                    folded.finish(index, reason, seed)
                case UsageChunk():
                    usage = _usage(chunk)
    return CompletionsResult(
        id=completion_id, object="text_completion", model=model, choices=folded.choices(), usage=usage
    )


def _usage(chunk: UsageChunk) -> CompletionsUsage:
    return CompletionsUsage(
        prompt_tokens=chunk.prompt_tokens,
        completion_tokens=chunk.completion_tokens,
        total_tokens=chunk.total_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=chunk.cached_tokens),
    )
