"""The requests that somebody waits for, on the server's side: what is told of them, and what outlives a child."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from friendli_endpoint.engine.quarantine import Quarantine
from friendli_endpoint.engine.recovery import Recovery
from friendli_endpoint.engine.vocabulary import Abort, Failed, Finished, Prefilled, Resumed, Sampled, Submit
from friendli_endpoint.errors import EndpointError, EngineError, PoisonError, RequestError

if TYPE_CHECKING:
    from collections.abc import Set

    from friendli_endpoint.engine.options import ToChild
    from friendli_endpoint.engine.vocabulary import Request, TokenEvent


@dataclass(slots=True, eq=False)
class LiveRequest:
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
                self.events.put_nowait(event)
            case Finished():
                self.events.put_nowait(event)
                self.end(event.choice)

    def end(self, choice: int) -> None:
        self.open.discard(choice)
        if not self.open:
            self.events.put_nowait(None)

    def fail(self, error: EndpointError) -> None:
        self.open.clear()
        self.events.put_nowait(error)

    def again(self) -> list[ToChild]:
        """The messages that make a new child go on where the old one was."""
        request = msgspec.structs.replace(self.request, generated=tuple(map(tuple, self.generated)))
        ended = sorted(set(range(len(request.seeds))) - self.open)
        return [Submit(request), *(Abort(request.id, choice) for choice in ended)]


class LiveRequests:
    """By id, until whoever waits has gone; `due` says which of them are to be sent to the child, and when."""

    def __init__(self) -> None:
        self._live: dict[str, LiveRequest] = {}
        self._recovery = Recovery()
        self._quarantine = Quarantine()

    @property
    def adapters(self) -> set[str]:
        """The keys that they use."""
        return {adapter for live in self._live.values() if (adapter := live.request.adapter) is not None}

    @property
    def held_adapters(self) -> Set[str]:
        """The keys that those use who have not been sent to the child that is there."""
        held = (self._live[name].request.adapter for name in self._recovery.held)
        return {adapter for adapter in held if adapter is not None}

    def __len__(self) -> int:
        return len(self._live)

    def open(self, request: Request) -> LiveRequest:
        """One more. ValueError when its id is in use, `PoisonError` when it asks what ended the engine before."""
        if request.id in self._live:
            raise ValueError(f"request id {request.id!r} is in use")
        if self._quarantine.holds(request):
            raise PoisonError("a request that asks the same has ended the engine, so it is refused for a while")
        live = self._live[request.id] = LiveRequest(request)
        self._recovery.arrive(request.id)
        return live

    def abort(self, request_id: str, choice: int | None) -> bool:
        """End a request, or one choice of it; whether the child still works on what ends."""
        live = self._live.get(request_id)
        if live is None:
            return False
        ending = set(live.open) if choice is None else live.open & {choice}
        if choice is None:
            del self._live[request_id]
        live.aborted |= ending
        for each in ending:
            live.end(each)
        self._leave_if_over(live)
        return bool(ending)

    def book(self, event: TokenEvent | Resumed | Failed) -> None:
        """Enter an event of the child; what has been aborted meanwhile is ignored."""
        live = self._live.get(event.request_id)
        if live is None:
            return
        if isinstance(event, Failed):
            live.fail(_error_of(event))
        elif isinstance(event, Resumed):
            self._recovery.resume(event.request_id)
        elif isinstance(event, Prefilled):
            live.book(event)
        elif event.choice in live.open:
            live.book(event)
            self._recovery.progress(event.request_id)
        self._leave_if_over(live)

    def hear(self, now: float) -> None:
        """The child has said something, which shows that it steps."""
        self._recovery.hear(now)

    def begin(self, now: float) -> None:
        """There is a new child; it knows nobody."""
        self._recovery.begin(now)

    def due(self, *, loading: bool) -> list[ToChild]:
        """The messages that make the child go on with those whose turn it is; `loading`: it is still at adapters."""
        return [message for name in self._recovery.due(loading=loading) for message in self._live[name].again()]

    def count_death(self, *, loading: bool) -> None:
        """The child has died, perhaps because it was `loading` an adapter: fail who is convicted of it."""
        for name in self._recovery.end(loading=loading):
            live = self._live.pop(name)
            self._quarantine.add(live.request)
            live.fail(
                PoisonError("this request has ended the engine twice while it alone was on trial, so it is given up")
            )

    def fail_all(self, reason: str) -> None:
        for name, live in self._live.items():
            live.fail(EngineError(reason))
            self._recovery.leave(name)
        self._live.clear()

    def _leave_if_over(self, live: LiveRequest) -> None:
        if not live.open:
            self._recovery.leave(live.request.id)


def _error_of(failed: Failed) -> EndpointError:
    """A request that is itself to blame is told so."""
    return EngineError(failed.message) if failed.field is None else RequestError(failed.message, field=failed.field)
