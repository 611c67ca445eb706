"""One endpoint's life: it is started, runs, sleeps when nobody asks, wakes when somebody does, fails, and ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from friendli_endpoint.config import EndpointSettings, ServerSettings
from friendli_endpoint.engine import EngineOptions
from friendli_endpoint.errors import EndpointError, RequestError
from friendli_endpoint.server.errors import StoppingError, UnavailableError
from friendli_endpoint.server.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from friendli_endpoint.server.deployment import Deployment

_FAILED_RETRY_SECONDS = 30
_MAX_ROWS = EngineOptions("").max_rows


class Status(StrEnum):
    """INITIALIZING -> RUNNING <-> SLEEPING (through AWAKING on the way back); FAILED when a start fails; STOPPING ->
    TERMINATED at the end, from wherever it is. A failed one is started again on demand of an admin alone."""

    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    SLEEPING = "SLEEPING"
    AWAKING = "AWAKING"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    TERMINATED = "TERMINATED"


class Endpoint:
    """A deployment and where it is in its life. Everything happens on one event loop.

    A request waits at most `queue_seconds` for its turn.
    """

    def __init__(
        self,
        deployment: Deployment,
        settings: EndpointSettings | None = None,
        *,
        queue_seconds: float = ServerSettings().queue_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = deployment.id
        self.deployment = deployment
        self.settings = settings or EndpointSettings()
        self.turns = Turns(self.settings.max_rows or _MAX_ROWS, queue_seconds=queue_seconds)
        self.status = Status.INITIALIZING
        self.error: str | None = None
        """Why the last start failed."""
        self.created = self.updated = int(time.time())
        self.uses = 0
        """Requests that are here now, whatever they wait for."""
        self.start_seconds: float | None = None
        """How long the last start took, of the engine alone."""
        self._clock = clock
        self._engine = asyncio.Lock()  # held while the engine is started or closed
        self._waking: asyncio.Task[None] | None = None
        self._dozing: asyncio.Task[None] | None = None
        self._doze_timer: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Whether a request would be worked on now, or after waking up."""
        return self.status is Status.SLEEPING or (self.status is Status.RUNNING and self.deployment.ready)

    async def start(self) -> None:
        """Start the engine, with its adapters. Raises `EndpointError`; the endpoint has FAILED then."""
        await self._bring_up(Status.INITIALIZING)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Keep the endpoint from falling asleep by itself meanwhile."""
        self.uses += 1
        self._cancel_doze()
        try:
            yield
        finally:
            self.uses -= 1
            self._doze_later()

    def check(self) -> None:
        """Raises `UnavailableError` when waiting for it, or waking it, would not help."""
        match self.status:
            case Status.RUNNING | Status.SLEEPING | Status.AWAKING:
                return
            case Status.INITIALIZING:
                raise UnavailableError("The engine is not ready yet; try again shortly.", retry_after=1)
            case Status.FAILED:
                raise UnavailableError(
                    f"The endpoint {self.id!r} could not be started; an admin can restart it.",
                    retry_after=_FAILED_RETRY_SECONDS,
                )
            case Status.STOPPING | Status.TERMINATED:
                raise StoppingError

    async def awake(self) -> None:
        """Return once the engine works; wakes it if need be. Raises `UnavailableError`."""
        self.check()
        if self.status is Status.RUNNING:
            return
        if self._waking is None:
            self._waking = asyncio.create_task(self._wake(), name=f"waking {self.id}")
        await asyncio.shield(self._waking)
        self.check()

    async def sleep(self) -> None:
        """Give the engine's memory back. Raises `RequestError` 409 while requests are here, or when it does not run."""
        if self.status is Status.SLEEPING:
            return
        if self.status is not Status.RUNNING:
            raise RequestError(f"{self.id!r} is {self.status}; only a running endpoint can sleep.", status=409)
        if self.uses:
            raise RequestError(
                f"The endpoint {self.id!r} has {self.uses} requests; it can sleep after them.", status=409
            )
        self._enter(Status.SLEEPING)
        async with self._engine:
            await self.deployment.stop()

    async def restart(self) -> None:
        """Start a failed one again. Raises `RequestError` 409 when it has not failed, and what `start` raises."""
        if self.status is not Status.FAILED:
            raise RequestError(f"{self.id!r} is {self.status}; only a failed endpoint can restart.", status=409)
        await self._bring_up(Status.INITIALIZING)

    async def close(self) -> None:
        """End every request and the engine."""
        self._enter(Status.STOPPING)
        self._cancel_doze()
        for task in (self._waking, self._dozing):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        async with self._engine:
            await self.deployment.stop()
        self._enter(Status.TERMINATED)

    async def _wake(self) -> None:
        try:
            await self._bring_up(Status.AWAKING)
        except EndpointError:
            return  # the status tells it
        finally:
            self._waking = None

    async def _bring_up(self, through: Status) -> None:
        self._enter(through)
        try:
            async with self._engine:
                began = self._clock()
                await self.deployment.start()
        except BaseException as error:
            self.error = str(error) if isinstance(error, EndpointError) else "the start was broken off"
            self._leave(through, Status.FAILED)
            raise
        self.start_seconds, self.error = self._clock() - began, None
        self._leave(through, Status.RUNNING)
        self._doze_later()

    def _enter(self, status: Status) -> None:
        self.status, self.updated = status, int(time.time())

    def _leave(self, through: Status, status: Status) -> None:
        if self.status is through:  # else it is being closed
            self._enter(status)

    def _doze_later(self) -> None:
        seconds = self.settings.sleep_after_seconds
        if seconds is not None and not self.uses and self.status is Status.RUNNING:
            self._cancel_doze()
            self._doze_timer = asyncio.get_running_loop().call_later(seconds, self._doze)

    def _doze(self) -> None:
        if self.status is Status.RUNNING and not self.uses:
            self._dozing = asyncio.create_task(self.sleep(), name=f"dozing {self.id}")

    def _cancel_doze(self) -> None:
        if self._doze_timer is not None:
            self._doze_timer.cancel()
            self._doze_timer = None
