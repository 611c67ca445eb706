"""Our engine as the server sees it: a child process that may die, and requests and adapters that do not die with it.

Each live request is kept here with the tokens already reported. When the child ends, or hangs and is ended, a new one
is started; it loads the adapters again, and every live request is submitted again with those tokens, which the engine
replays without reporting them: a caller sees a pause. A request that ends the engine is found (see `recovery`) and
fails, and so does an adapter that was being loaded at four deaths.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from friendli_endpoint.engine.link import Link
from friendli_endpoint.engine.live import LiveRequests
from friendli_endpoint.engine.registry import AdapterRegistry
from friendli_endpoint.engine.spool import Spool
from friendli_endpoint.engine.vocabulary import (
    Abort,
    AdapterAdded,
    AdapterRefused,
    AddAdapter,
    Prefilled,
    Pulse,
)
from friendli_endpoint.engine.watch import Pulses, watched
from friendli_endpoint.errors import EndpointError, EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from friendli_endpoint.engine.live import LiveRequest
    from friendli_endpoint.engine.options import EngineOptions, ToChild
    from friendli_endpoint.engine.vocabulary import AdapterCard, ModelCard, Request, Stepped, TokenEvent

_log = logging.getLogger(__name__)
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 30.0


class EngineProcess:
    """An `Engine` in a child process of this one.

    A child that hangs for `hang_seconds` is killed and replaced: it does not answer between two steps, or has sequences
    running without a forward. One step of a large model on a slow processor may take tens of seconds. A child that is
    not ready within `load_seconds` is killed, too. While no child can be started, live requests are held for
    `hold_seconds`: what is in the way may pass, such as memory that is still being given back.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        hang_seconds: float = 120.0,
        load_seconds: float = 600.0,
        hold_seconds: float = 20.0,
    ) -> None:
        self._options = options
        self._hang_seconds = hang_seconds
        self._load_seconds = load_seconds
        self._hold_seconds = hold_seconds
        self._pulses = Pulses()
        self._restarts = 0
        self._link: Link | None = None
        self._card: ModelCard | None = None
        self._requests = LiveRequests()
        self._adapters = AdapterRegistry()
        self._spool = Spool()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def card(self) -> ModelCard:
        if self._card is None:
            raise EngineError("the engine has not been started")
        return self._card

    @property
    def ready(self) -> bool:
        return self._link is not None

    @property
    def pulse(self) -> Pulse | None:
        return self._pulses.latest

    @property
    def restarts(self) -> int:
        return self._restarts

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none to work."""
        return self._link.pid if self._link else None

    async def start(self) -> None:
        self._pulses.end()
        self._adapters.unload()
        self._options = msgspec.structs.replace(self._options, spool=self._spool.make())
        try:
            link = await self._load()
        except BaseException:
            self._spool.remove()
            raise
        self._tell_everything(link)
        self._supervisor = asyncio.create_task(self._supervise(link), name="engine supervisor")

    async def submit(self, request: Request) -> AsyncGenerator[TokenEvent]:
        try:
            live = self._admit(request)
            while (event := await live.events.get()) is not None:
                if isinstance(event, EndpointError):
                    raise event
                if isinstance(event, Prefilled) or event.choice not in live.aborted:
                    yield event
        finally:
            self.abort(request.id)

    def abort(self, request_id: str, choice: int | None = None) -> None:
        if self._requests.abort(request_id, choice):
            self._send(Abort(request_id, choice))
        self._send_due()

    async def add_adapter(self, key: str, path: str) -> AdapterCard:
        self._check_running()
        answer = self._adapters.open(key, path)
        self._send(AddAdapter(key, path))
        try:
            return await answer
        except asyncio.CancelledError:
            self.drop_adapter(key)
            raise

    def drop_adapter(self, key: str) -> None:
        self._adapters.drop(key)
        self._send_due()
        self._adapters.forget(self._requests.adapters)

    async def close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        if self._link is not None:  # the supervisor was cancelled before it began
            await self._end(self._link)
        self._spool.remove()

    def _check_running(self) -> None:
        if self._supervisor is None or self._supervisor.done():
            raise EngineError("the engine is not running")

    def _admit(self, request: Request) -> LiveRequest:
        self._check_running()
        if request.adapter is not None and not self._adapters.takes(request.adapter):
            raise EngineError(f"adapter {request.adapter!r} is not loaded")
        live = self._requests.open(request)
        self._send_due()
        return live

    def _send(self, message: ToChild) -> None:
        """To the child; while there is none, nothing is lost: a new one is told everything that is live."""
        if self._link is not None:
            self._link.send(message)

    def _send_due(self) -> None:
        """To the child, the requests whose turn it is, and drops of adapters that no other one needs."""
        if self._link is None:
            return
        for request in self._requests.due(loading=self._adapters.loading):
            self._link.send(request)
        for drop in self._adapters.due_drops(self._requests.held_adapters):
            self._link.send(drop)

    async def _load(self) -> Link:
        link = await Link.open(self._options)
        try:
            self._card = (await link.ready(self._load_seconds)).card
        except BaseException:
            await link.close()
            raise
        self._link = link
        return link

    async def _supervise(self, link: Link) -> None:
        """Dispatch what a child posts; when it ends, start the next and go on."""
        try:
            while True:
                await self._dispatch(link)
                await self._bury(link)
                link = await self._reload()
                self._restarts += 1
                self._tell_everything(link)
        finally:
            await self._end(link)

    async def _end(self, link: Link) -> None:
        self._link = None
        await link.close()
        self._fail_all("the endpoint is stopping")

    async def _bury(self, link: Link) -> None:
        self._link = None
        self._pulses.end()
        await link.close()
        told = link.pid, link.ending, len(self._requests)
        _log.error("the engine process %d ended (%s) with %d live requests; starting a new one", *told)
        self._requests.count_death(loading=self._adapters.loading)
        self._adapters.count_death()

    async def _reload(self) -> Link:
        """A new child; what keeps it from starting may pass, so this tries until it does, ever less often."""
        clock = asyncio.get_running_loop().time
        wait, hold_until = _FIRST_WAIT_SECONDS, clock() + self._hold_seconds
        while True:
            try:
                return await self._load()
            except (EndpointError, OSError) as error:
                _log.error("the engine cannot be restarted, next try in %g s: %s", wait, error)
            if clock() >= hold_until:
                self._fail_all("the engine cannot be restarted at the moment")
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _tell_everything(self, link: Link) -> None:
        """To a new child. Adapters come before their requests, and what is dropped but in use is dropped after them."""
        self._requests.begin(asyncio.get_running_loop().time())
        self._adapters.forget(self._requests.adapters)
        self._spool.sweep(self._adapters.has)
        for adapter in self._adapters.again():
            link.send(adapter)
        self._send_due()

    async def _dispatch(self, link: Link) -> None:
        clock = asyncio.get_running_loop().time
        async with watched(link, self._hang_seconds) as vigil:
            async for message in link.messages():
                if isinstance(message, Pulse):
                    vigil.hear(message)
                    self._pulses.hear(message)
                else:
                    self._book(message)
                self._requests.hear(clock())
                self._send_due()

    def _book(self, step: Stepped) -> None:
        for event in step.events:
            if isinstance(event, AdapterAdded | AdapterRefused):
                self._adapters.book(event)
            else:
                self._requests.book(event)

    def _fail_all(self, reason: str) -> None:
        self._requests.fail_all(reason)
        self._adapters.fail_waiting(reason)
