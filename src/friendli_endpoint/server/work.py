"""What the engine's work for one request needs: the endpoint awake, the adapter in the engine, a turn."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from friendli_endpoint.server.chunks import Continuation
from friendli_endpoint.server.order import Origin, make_order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from friendli.models import CompletionsBody
    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.server.admission import Place
    from friendli_endpoint.server.endpoint import Endpoint
    from friendli_endpoint.server.order import Order
    from friendli_endpoint.server.routes import Served
    from friendli_endpoint.server.telemetry import RequestRecord


class Work:
    """The work for one request, which it may outlast when others read the same answer.

    So what is taken before the engine works belongs to the request, and while the engine works it is held once more.
    """

    def __init__(self, endpoint: Endpoint, served: Served | None, place: Place, record: RequestRecord) -> None:
        self.deadline: float | None = None
        """By the event loop's clock, of the request; None once it is over, since others have times of their own."""
        self._endpoint = endpoint
        self._served = served
        self._place = place
        self._record = record
        self._taken = ExitStack()
        self._rows = 0

    @property
    def engine(self) -> Engine:
        return self._endpoint.deployment.engine

    @property
    def possible(self) -> bool:
        """Whether it can be begun, now or again: its adapter has not been removed or replaced."""
        return self._served is None or not self._served.dropped.is_set()

    async def order(self, asked: CompletionsBody, request_id: str, settings: ServerSettings, taken: ExitStack) -> Order:
        """What the engine is to do; its adapter is `taken` from before the prompts are tokenized. `RequestError`."""
        await self._endpoint.awake()
        deployment = self._endpoint.deployment
        self._taken = taken.enter_context(ExitStack())
        adapter = self._taken.enter_context(deployment.hold(self._served))
        origin = Origin(key=request_id.removeprefix("req-"), team=self._place.team, adapter=adapter)
        order = await asyncio.to_thread(make_order, asked, origin, deployment, settings)
        self._rows = order.rows
        return order

    def continuations(self, order: Order) -> list[Continuation]:
        """One for each prompt of the order, nothing of it generated yet."""
        n = len(order.requests[0].seeds)
        return [
            Continuation(request, number * n, self._endpoint.deployment.tokenizer, order.stop, order.stop_tokens)
            for number, request in enumerate(order.requests)
        ]

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """The engine may work inside. Raises `EngineFullError` when it is not its turn in time."""
        with self._endpoint.deployment.hold(self._served):
            self._taken.close()
            await self._endpoint.awake()
            async with self._endpoint.turns.turn(self._place.team, self._rows, self._patience()):
                self._place.begin()
                self._record.started()
                yield

    def _patience(self) -> float | None:
        """How many seconds the request gives itself from now on."""
        return None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()
