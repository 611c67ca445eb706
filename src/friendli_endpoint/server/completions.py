"""POST /dedicated/v1/completions."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from friendli_endpoint.server.answer import Answer
from friendli_endpoint.server.auth import check_endpoint
from friendli_endpoint.server.bill import Bill
from friendli_endpoint.server.caller import caller_of
from friendli_endpoint.server.chunks import UsageChunk
from friendli_endpoint.server.connection import while_connected
from friendli_endpoint.server.deadline import until
from friendli_endpoint.server.errors import is_timeout, send_json
from friendli_endpoint.server.idempotency import fingerprint, key_of
from friendli_endpoint.server.limits import read_json_body
from friendli_endpoint.server.order import Manner, manner_of, read_body
from friendli_endpoint.server.plain import fold
from friendli_endpoint.server.sse import EventShape, FirstShape, TodaysShape, wants_first_generation
from friendli_endpoint.server.stream import send_stream
from friendli_endpoint.server.telemetry import record_of
from friendli_endpoint.server.work import Work
from friendli_endpoint.usage import Who

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.types import Receive, Scope, Send

    from friendli.models import CompletionsBody
    from friendli_endpoint.server.admission import Place
    from friendli_endpoint.server.chunks import Chunk
    from friendli_endpoint.server.endpoint import Endpoint
    from friendli_endpoint.server.service import Service
    from friendli_endpoint.usage import Outcome


class Completions:
    """The route: a place is counted once the body is there, and before anything is done with it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_of(scope).asked()
        self._service.check_open()
        body = await read_json_body(scope, receive, self._service.settings.server)
        with ExitStack() as held:
            place = held.enter_context(self._service.admission.enter(caller_of(scope).team))
            await while_connected(receive, _Call(self._service, scope, held, place).run(body, send))


class _Call:
    """One request, from its body to the last byte of the reply.

    `held` is what it holds: a place, the endpoint, an adapter. It is given back before the last bytes go out, so that
    a client that comes back at once finds room.
    """

    def __init__(self, service: Service, scope: Scope, held: ExitStack, place: Place) -> None:
        self._service = service
        self._scope = scope
        self._held = held
        self._place = place
        self._bill: Bill | None = None
        self._caller = caller_of(scope)
        self._key = key_of(scope)
        self._record = record_of(scope)
        self._accepted = asyncio.get_running_loop().time()

    async def run(self, body: bytes, send: Send) -> None:
        asked, asks = await asyncio.to_thread(self._read, body)
        endpoint = self._endpoint(asked.model.partition(":")[0])
        served = endpoint.deployment.served(asked.model)
        self._record.placed(endpoint.id, None if served is None else served.route)
        manner = manner_of(asked)
        self._record.stream = manner.stream
        work = Work(endpoint, served, self._place, self._record)
        batches = self._batches(asked, asks, work)
        if manner.timeout_seconds is not None:
            work.deadline = self._accepted + manner.timeout_seconds
            batches = until(work.deadline, batches)
        try:
            await self._reply(send, endpoint.id, manner, self._billed(batches))
        finally:
            work.deadline = None

    def _endpoint(self, endpoint_id: str) -> Endpoint:
        """The endpoint, held for the request. Raises `RequestError` for one that is not to be used, or not now."""
        check_endpoint(self._scope, endpoint_id, field="model")
        endpoint = self._service.endpoints.find(endpoint_id, self._caller.identity, field="model")
        self._held.enter_context(endpoint.use())
        endpoint.check()
        return endpoint

    def _read(self, body: bytes) -> tuple[CompletionsBody, bytes]:
        """Not for the event loop."""
        asked = read_body(body, self._service.settings.server)
        return asked, b"" if self._key is None else fingerprint(asked)

    async def _reply(self, send: Send, endpoint_id: str, manner: Manner, source: AsyncGenerator[list[Chunk]]) -> None:
        request_id = self._scope["request_id"]
        completion_id = request_id.replace("req-", "cmpl-")
        async with aclosing(source) as batches:
            if manner.stream:
                shape = self._shape(endpoint_id, manner, completion_id)
                heartbeat_seconds = self._service.settings.server.heartbeat_seconds
                await send_stream(send, batches, shape, request_id, heartbeat_seconds)
            else:
                result = await fold(batches, completion_id, endpoint_id, logprobs=manner.logprobs)
                await send_json(send, result.model_dump_json().encode())

    def _shape(self, endpoint_id: str, manner: Manner, completion_id: str) -> EventShape:
        agent = next((value for name, value in self._scope["headers"] if name == b"user-agent"), b"")
        if wants_first_generation(agent.decode("latin-1")):
            return FirstShape(logprobs=manner.logprobs)
        return TodaysShape(completion_id, endpoint_id, int(time.time()), include_usage=manner.include_usage)

    async def _billed(self, source: AsyncGenerator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
        """What `source` gives, each batch charged for before it goes on; in the end, what has become of the request."""
        outcome: Outcome = "left"
        try:
            async with aclosing(source) as batches:
                async for batch in batches:
                    if self._bill is not None:
                        await self._bill.deliver(batch)
                    if isinstance(batch[-1], UsageChunk):
                        self._held.close()
                    yield batch
        except Exception as error:
            outcome = "timeout" if is_timeout(error) else "failed"
            self._record.failed(error)
            raise
        finally:
            if self._bill is not None:
                self._bill.end(outcome)

    async def _batches(self, asked: CompletionsBody, asks: bytes, work: Work) -> AsyncGenerator[list[Chunk]]:
        async with self._answer(asked, asks, work) as answer, aclosing(answer.read()) as batches:
            entry = self._service.ledger.begin(self._who(asked))
            self._bill = Bill(answer, entry, self._place, self._record)
            async for batch in batches:
                yield batch

    def _who(self, asked: CompletionsBody) -> Who:
        endpoint_id, _, route = asked.model.partition(":")
        return Who(
            request_id=self._scope["request_id"],
            team=self._caller.team,
            token=self._caller.identity.name,
            endpoint=endpoint_id,
            adapter=route or None,
        )

    @asynccontextmanager
    async def _answer(self, asked: CompletionsBody, asks: bytes, work: Work) -> AsyncIterator[Answer]:
        if self._key is None:
            yield await self._make(asked, work)
            return
        make = partial(self._make, asked, work)
        async with self._service.answers.answer(self._caller.team, self._key, asks, make) as answer:
            yield answer

    async def _make(self, asked: CompletionsBody, work: Work) -> Answer:
        """An answer that nobody has begun."""
        order = await work.order(asked, self._scope["request_id"], self._service.settings.server, self._held)
        self._service.check_open()
        self._record.queued(order.items)
        return Answer(work.continuations(order), work, kept=self._key is not None)
