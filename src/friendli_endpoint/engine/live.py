"""The requests that somebody waits for, on the server's side: what is told of them, and what outlives a child."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from friendli_endpoint.engine.vocabulary import Abort, Failed, Finished, Prefilled, Sampled, Submit
from friendli_endpoint.errors import EndpointError, EngineError, RequestError

if TYPE_CHECKING:
    from friendli_endpoint.engine.options import ToChild
    from friendli_endpoint.engine.vocabulary import Request, TokenEvent

MOST_DEATHS: Final = 4
"""So many deaths of the child, with the same work there each time, and that work is taken for their cause."""


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


class LiveRequests:
    """By id, until whoever waits has gone."""

    def __init__(self) -> None:
        self._live: dict[str, LiveRequest] = {}

    @property
    def adapters(self) -> set[str]:
        """The keys that they use."""
        return {adapter for live in self._live.values() if (adapter := live.request.adapter) is not None}

    def __len__(self) -> int:
        return len(self._live)

    def open(self, request: Request) -> LiveRequest:
        """One more. ValueError when its id is in use."""
        if request.id in self._live:
            raise ValueError(f"request id {request.id!r} is in use")
        live = self._live[request.id] = LiveRequest(request)
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
        return bool(ending)

    def book(self, event: TokenEvent | Failed) -> None:
        """Enter an event of the child; what has been aborted meanwhile is ignored."""
        live = self._live.get(event.request_id)
        if live is None:
            return
        if isinstance(event, Failed):
            live.events.put_nowait(_error_of(event))
        elif isinstance(event, Prefilled) or event.choice in live.open:
            live.book(event)

    def again(self) -> list[ToChild]:
        """The messages that make a new child go on with all of them."""
        return [message for live in self._live.values() for message in live.again()]

    def count_death(self) -> None:
        """The child has died: fail those that were there at too many deaths."""
        for live in self._live.values():
            live.deaths += 1
            if live.deaths >= MOST_DEATHS:
                live.events.put_nowait(EngineError("the engine ended again and again while working on this request"))
        self._live = {name: live for name, live in self._live.items() if live.deaths < MOST_DEATHS}

    def fail_all(self, reason: str) -> None:
        for live in self._live.values():
            live.events.put_nowait(EngineError(reason))
        self._live.clear()


def _error_of(failed: Failed) -> EndpointError:
    """A request that is itself to blame is told so."""
    return EngineError(failed.message) if failed.field is None else RequestError(failed.message, field=failed.field)
