"""Our engine as the server sees it: a child process that may die, and requests that do not die with it.

Each live request is kept here with the tokens already reported. When the child ends, a new one is started and every
live request is submitted again with those tokens, which the engine replays without reporting them: a caller sees a
pause. A request that was there at four deaths without getting a token between them is taken for their cause and fails.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from friendli_endpoint.engine.link import Link
from friendli_endpoint.engine.vocabulary import Abort, Failed, Finished, Prefilled, Sampled, Submit
from friendli_endpoint.errors import EndpointError, EngineError, RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from friendli_endpoint.engine.options import EngineOptions, ToChild
    from friendli_endpoint.engine.vocabulary import ModelCard, Request, TokenEvent

_log = logging.getLogger(__name__)
_MOST_DEATHS: Final = 4
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 30.0


@dataclass(slots=True, eq=False)
class _Live:
    """A request that somebody waits for: its events not yet taken, and what a new child needs to go on with it.

    In the queue, an error is the end of the request and None its good end.
    """

    request: Request
    events: asyncio.Queue[TokenEvent | EndpointError | None] = field(default_factory=asyncio.Queue)
    generated: list[list[int]] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    """Choices that have neither finished nor been aborted."""
    aborted: set[int] = field(default_factory=set)
    prefilled: bool = False
    deaths: int = 0

    def __post_init__(self) -> None:
        self.generated = [list(tokens) for tokens in self.request.generated] or [[] for _ in self.request.seeds]
        self.open = set(range(len(self.request.seeds)))

    def book(self, event: TokenEvent) -> None:
        """Remember an event of the child and pass it on."""
        match event:
            case Prefilled():
                if not self.prefilled:  # else it is read again after a restart
                    self.events.put_nowait(event)
                self.prefilled = True
            case Sampled():
                self.generated[event.choice].append(event.token)
                self.deaths = 0
                self.events.put_nowait(event)
            case Finished():
                self.events.put_nowait(event)
                self.end(event.choice)

    def end(self, choice: int) -> None:
        self.open.discard(choice)
        if not self.open:
            self.events.put_nowait(None)

    def again(self) -> list[ToChild]:
        """The messages that make a new child go on where the old one was."""
        request = msgspec.structs.replace(self.request, generated=tuple(map(tuple, self.generated)))
        ended = sorted(set(range(len(request.seeds))) - self.open)
        return [Submit(request), *(Abort(request.id, choice) for choice in ended)]


class EngineProcess:
    """An `Engine` in a child process of this one."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._link: Link | None = None
        self._card: ModelCard | None = None
        self._live: dict[str, _Live] = {}
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
    def pid(self) -> int | None:
        """The child's process id, None while there is none to work."""
        return self._link.pid if self._link else None

    async def start(self) -> None:
        link = await self._load()
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
        live = self._live.get(request_id)
        if live is None:
            return
        ending = set(live.open) if choice is None else live.open & {choice}
        if choice is None:
            del self._live[request_id]
        live.aborted |= ending
        for each in ending:
            live.end(each)
        if ending:
            self._send(Abort(request_id, choice))

    async def close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])

    def _admit(self, request: Request) -> _Live:
        if self._supervisor is None or self._supervisor.done():
            raise EngineError("the engine is not running")
        if request.id in self._live:
            raise ValueError(f"request id {request.id!r} is in use")
        live = self._live[request.id] = _Live(request)
        self._send(Submit(request))
        return live

    def _send(self, message: ToChild) -> None:
        """To the child; while there is none, nothing is lost: a new one is told everything that is live."""
        if self._link is not None:
            self._link.send(message)

    async def _load(self) -> Link:
        link = await Link.open(self._options)
        try:
            self._card = (await link.ready()).card
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
                self._link = None
                await link.close()
                _log.error("the engine process %d ended; starting a new one", link.pid)
                self._quarantine()
                link = await self._reload()
                for live in self._live.values():
                    for message in live.again():
                        link.send(message)
        finally:
            self._link = None
            await link.close()
            self._fail_all("the endpoint is stopping")

    async def _reload(self) -> Link:
        """A new child; what keeps it from starting may pass, so this tries until it does, ever less often."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                return await self._load()
            except (EndpointError, OSError) as error:
                _log.error("the engine cannot be restarted, next try in %g s: %s", wait, error)
            self._fail_all("the engine cannot be restarted at the moment")
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    async def _dispatch(self, link: Link) -> None:
        async for step in link.steps():
            for event in step.events:
                live = self._live.get(event.request_id)
                if live is None:
                    continue
                if isinstance(event, Failed):
                    live.events.put_nowait(_error_of(event))
                elif isinstance(event, Prefilled) or event.choice in live.open:
                    live.book(event)

    def _quarantine(self) -> None:
        """Fail the requests that were there at too many deaths."""
        for live in self._live.values():
            live.deaths += 1
            if live.deaths >= _MOST_DEATHS:
                live.events.put_nowait(EngineError("the engine ended again and again while working on this request"))
        self._live = {name: live for name, live in self._live.items() if live.deaths < _MOST_DEATHS}

    def _fail_all(self, reason: str) -> None:
        for live in self._live.values():
            live.events.put_nowait(EngineError(reason))
        self._live.clear()


def _error_of(failed: Failed) -> EndpointError:
    """A request that is itself to blame is told so."""
    return EngineError(failed.message) if failed.field is None else RequestError(failed.message, field=failed.field)
