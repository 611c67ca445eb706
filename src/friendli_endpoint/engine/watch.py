"""Watching a child: it has to answer pings, and while sequences run there have to be forwards."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.vocabulary import Ping, Pulse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from friendli_endpoint.engine.link import Link

_PING_SECONDS: Final = 1.0
_PING_SHARE: Final = 0.1  # of the time after which a child hangs: so much later, twice at most, is it found


class Vigil:
    """Whether a child hangs, as far as its pulses tell. It knows no clock: it is told how much time has passed.

    A child hangs that owes an answer, or has sequences running without a forward, for longer than `hang_seconds`.
    """

    def __init__(self, hang_seconds: float) -> None:
        self._hang_seconds = hang_seconds
        self._last = Pulse(0)
        self._asked = 0
        self._owing = 0.0
        self._stuck = 0.0

    def ask(self) -> Ping | None:
        """The next ping to send; None while the last one has not been answered."""
        if self._asked != self._last.number:
            return None
        self._asked += 1
        return Ping(self._asked)

    def hear(self, pulse: Pulse) -> None:
        """The child has answered."""
        self._owing = 0.0
        if not pulse.running or pulse.forwards != self._last.forwards:
            self._stuck = 0.0
        self._last = pulse

    def pass_time(self, seconds: float) -> str | None:
        """So much time has passed, in which a pulse would have been heard; how the child hangs, None: it does not."""
        if self._asked != self._last.number:
            self._owing += seconds
        elif self._last.running:
            self._stuck += seconds
        if self._owing > self._hang_seconds:
            return f"no answer for {self._owing:.1f} s"
        if self._stuck > self._hang_seconds:
            return f"sequences running, but no forward for {self._stuck:.1f} s"
        return None


class Pulses:
    """The latest pulse of children that follow one another."""

    def __init__(self) -> None:
        self.latest: Pulse | None = None
        self._before = Pulse(0)

    def hear(self, pulse: Pulse) -> None:
        self.latest = pulse.after(self._before)

    def end(self) -> None:
        """The child is gone: what it has counted stays."""
        if self.latest is not None:
            self.latest = self._before = self.latest.ended()


@asynccontextmanager
async def watched(link: Link, hang_seconds: float) -> AsyncIterator[Vigil]:
    """Ping a child that is ready, and kill it when it hangs; its pulses are for the vigil to hear."""
    vigil = Vigil(hang_seconds)
    interval = min(_PING_SECONDS, hang_seconds * _PING_SHARE)
    watching = asyncio.create_task(_watch(link, vigil, interval), name="engine watch")
    try:
        yield vigil
    finally:
        watching.cancel()


async def _watch(link: Link, vigil: Vigil, interval: float) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        if ping := vigil.ask():
            link.send(ping)
        gone, before = link.gone, clock()
        await asyncio.sleep(interval)
        if gone:
            link.kill("its connection outlived it")  # what it had sent has been read meanwhile
            return
        # When this process stood still itself, that is not held against the child.
        if trouble := vigil.pass_time(min(clock() - before, 2 * interval)):
            link.kill(trouble)
            return
