"""Who is let in: places are counted before any work is done, so that a refusal costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Self

from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.drain_rate import DrainRate
from friendli_endpoint.server.quota import Quotas
from friendli_endpoint.server.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.config import TeamSettings
    from friendli_endpoint.errors import Lack

_SOONEST: Final = 1.0
_LATEST: Final = 60.0


def retry_after(seconds: float | None) -> float:
    """When to come back, if there is likely to be room in so many seconds: from 1 to 60, 1 when that is not known."""
    return _SOONEST if seconds is None else min(max(seconds, _SOONEST), _LATEST)


class Admission:
    """`limit` places for the requests that wait and run, divided between teams (`Shares`), with the limits of each.

    Retry-After is when there is likely to be a place, and nobody left of those that wait before it now. The server
    gives back so many places a second lately, and of these a team gets as large a part as it holds:

        seconds = (those that wait + 1) / (places given back a second * places held / places taken)

    Where the server is full, all is about all teams; where a team is at a limit of its own, about that team. Where it
    has used up its minute, Retry-After is when there is something again.
    """

    def __init__(
        self, limit: int, teams: Callable[[str], TeamSettings], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.closing = False
        """Set once, when the server is about to stop: nobody new comes in."""
        self.refusals: Counter[Lack] = Counter()
        """How many were refused, by reason."""
        self._settings = teams
        self._clock = clock
        self._shares = Shares(limit)
        self._quotas = Quotas(teams, clock)
        self._drain = DrainRate(clock)
        self._waiting: Counter[str] = Counter()  # by team
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def places(self) -> int:
        """Places that are taken."""
        return self._shares.taken

    @property
    def waiting(self) -> int:
        """Places of requests that the engine has not begun with."""
        return self._waiting.total()

    def expected_wait(self) -> float:
        """Seconds until all that wait now have begun, if things go on as lately; 0.0 when that is not known."""
        return self._drain.seconds_for(self.waiting) or 0.0

    def enter(self, team: str) -> Place:
        """Take a place. Raises `EngineFullError` when the team can have none, at once."""
        try:
            self._check(team)
        except EngineFullError as error:
            self.refusals[error.reason] += 1
            raise
        self._quotas.used(team, requests=1)
        self._shares.take(team)
        self._waiting[team] += 1
        self._drain.watch(busy=True)
        self._idle.clear()
        return Place(self, team)

    def begin(self, team: str) -> None:
        """One of the team's places waits no longer."""
        self._waiting[team] -= 1
        if not self._waiting[team]:
            del self._waiting[team]

    def leave(self, team: str) -> None:
        """One of the team's places, which does not wait, is given back."""
        self._drain.count()
        self._shares.give_back(team)
        if not self.places:
            self._drain.watch(busy=False)
            self._idle.set()

    def used(self, team: str, tokens: int) -> None:
        """The team has used so many tokens."""
        self._quotas.used(team, tokens=tokens)

    async def idle(self) -> None:
        """Return once nobody holds a place."""
        await self._idle.wait()

    def _check(self, team: str) -> None:
        most, held = self._settings(team).max_requests, self._shares.held(team)
        if most is not None and held >= most:
            raise self._refusal("team requests", f"The team has {most} requests here, as many as it may", team)
        self._quotas.check(team)
        if not self._shares.ask(team, self._clock()):
            if held >= self._shares.share and self._shares.share < self._shares.limit:
                raise self._refusal("team share", f"The team holds its share of the {self._shares.limit} places", team)
            raise self._refusal("full", f"All {self._shares.limit} places are taken")

    def _refusal(self, reason: Lack, message: str, team: str | None = None) -> EngineFullError:
        """With a Retry-After about the team, or about all."""
        waiting, part = self.waiting, 1.0
        if team is not None:
            waiting, part = self._waiting[team], self._shares.held(team) / self.places
        seconds = self._drain.seconds_for((waiting + 1) / part)
        return EngineFullError(f"{message}; try again shortly.", retry_after=retry_after(seconds), reason=reason)


class _Stage(Enum):
    """WAITING -> RUNNING -> LEFT; a place may be left without having run."""

    WAITING = auto()
    RUNNING = auto()
    LEFT = auto()


class Place:
    """One request's place; as a context manager it is left at the latest at the end."""

    def __init__(self, admission: Admission, team: str) -> None:
        self.team = team
        self._admission = admission
        self._stage = _Stage.WAITING

    def begin(self) -> None:
        """The engine begins with the request: it waits no longer; again does nothing."""
        if self._stage is _Stage.WAITING:
            self._stage = _Stage.RUNNING
            self._admission.begin(self.team)

    def used(self, tokens: int) -> None:
        """The request has used so many tokens more; its place may have been left."""
        self._admission.used(self.team, tokens)

    def leave(self) -> None:
        """Give the place back; again does nothing."""
        self.begin()
        if self._stage is _Stage.RUNNING:
            self._stage = _Stage.LEFT
            self._admission.leave(self.team)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
