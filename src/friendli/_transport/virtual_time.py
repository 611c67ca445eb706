"""Time that only waiting moves, and that costs none."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count

import anyio
from anyio.lowlevel import RunVar, checkpoint

# How often the others of an event loop may run before a wait ends: what they begin meanwhile may end earlier.
_SETTLING = 3


class VirtualTime:
    """A clock that begins at 0, in seconds. Each thread has its own reading, and each task goes on from its parent's.

    So no call is late because another one waited. Where tasks of one event loop wait, the earliest end comes first.
    """

    def now(self) -> float:
        """This thread's or task's reading."""
        clock, reading = _reading.get()
        return reading if clock is self else 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass, at once."""
        _reading.set((self, self.now() + seconds))

    async def wait_async(self, seconds: float) -> None:
        """Let time pass, after all waits of this event loop that end earlier; a checkpoint in any case."""
        end = self.now() + seconds
        await _line().turn(end, settling=_SETTLING if seconds else 1)
        _reading.set((self, end))


# One for all clocks: a context variable is never freed.
_reading: ContextVar[tuple[VirtualTime | None, float]] = ContextVar("friendli_virtual_time", default=(None, 0.0))


@dataclass(order=True)
class _Place:
    end: float
    number: int
    called: anyio.Event = field(default_factory=anyio.Event, compare=False)


class _Line:
    """The waits of one event loop. The first in line is always awake, or called: whoever leaves calls the next."""

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._numbers = count()

    async def turn(self, end: float, *, settling: int) -> None:
        """Return when no wait of the line ends before `end`."""
        place = _Place(end, next(self._numbers))
        heappush(self._places, place)
        try:
            await self._first(place, settling)
        finally:
            self._leave(place)

    async def _first(self, place: _Place, settling: int) -> None:
        while True:
            for _ in range(settling):
                await checkpoint()
            if self._places[0] is place:
                return
            place.called = anyio.Event()
            await place.called.wait()

    def _leave(self, place: _Place) -> None:
        if self._places[0] is place:
            heappop(self._places)
        else:  # cancelled
            self._places.remove(place)
            heapify(self._places)
        if self._places:
            self._places[0].called.set()


_lines: RunVar[_Line] = RunVar("friendli_virtual_time")


def _line() -> _Line:
    line = _lines.get(None)
    if line is None:
        line = _Line()
        _lines.set(line)
    return line
