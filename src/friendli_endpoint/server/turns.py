"""When an admitted request goes into the engine: its own queue stays short, so no team can occupy it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.admission import retry_after
from friendli_endpoint.server.turn_order import TurnOrder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from friendli_endpoint.server.turn_order import Ticket

_LEAST_AHEAD: Final = 4
_QUEUE_SECONDS: Final = 300.0


class Turns:
    """The turns of one endpoint, whose engine runs `rows` sequences at once; on one event loop.

    The engine gets `ahead` rows more than it runs, a quarter by default, so that at the end of a step there is always
    somebody to go on with. It may die and come back meanwhile: a turn lasts as long as its holder works.
    """

    def __init__(
        self,
        rows: int,
        *,
        queue_seconds: float = _QUEUE_SECONDS,
        ahead: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue_seconds = queue_seconds
        self._order = TurnOrder(rows + (max(_LEAST_AHEAD, rows // 4) if ahead is None else ahead), clock)
        self._starts: dict[Ticket, asyncio.Future[None]] = {}  # of those that wait

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._order.waiting

    @property
    def running_rows(self) -> int:
        """Rows of the requests that have it."""
        return self._order.running_rows

    @asynccontextmanager
    async def turn(self, team: str, rows: int, patience: float | None = None) -> AsyncIterator[None]:
        """Wait until it is the turn of a request with so many rows, and hold the turn.

        Raises `EngineFullError` when that takes longer than `queue_seconds`, and at once when it is known to take
        longer than `patience` seconds.
        """
        if patience is not None:
            self._check_patience(team, rows, patience)
        ticket = self._order.add(team, rows)
        start = self._starts[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._start()
            await self._wait(start, team, rows)
            yield
        finally:
            self._starts.pop(ticket, None)
            self._order.remove(ticket)
            self._start()

    def _start(self) -> None:
        for ticket in self._order.start():
            start = self._starts.pop(ticket)
            if not start.done():  # else it has just been cancelled, and gives its turn back
                start.set_result(None)

    async def _wait(self, start: asyncio.Future[None], team: str, rows: int) -> None:
        try:
            async with asyncio.timeout(self._queue_seconds):
                await start
        except TimeoutError:
            raise EngineFullError(
                f"It was not the request's turn within {self._queue_seconds:g} s; try again later.",
                retry_after=retry_after(self._order.expected_wait(team, rows)),
                reason="queue",
            ) from None

    def _check_patience(self, team: str, rows: int, patience: float) -> None:
        wait = self._order.expected_wait(team, rows)
        if wait is not None and wait > patience:
            raise EngineFullError(
                f"It would be the request's turn in about {wait:.1f} s, after its time; allow more, or try later.",
                retry_after=retry_after(wait - patience),
                reason="patience",
            )
