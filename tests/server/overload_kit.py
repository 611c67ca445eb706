"""A server under load in virtual time: its admission and its turns, before an engine that is only a number of rows."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from friendli_endpoint.config import TeamSettings
from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.admission import Admission
from friendli_endpoint.server.turn_order import TurnOrder


class Clock:
    """It stands until somebody turns it."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@dataclass(eq=False)
class Asked:
    """A request: when it came, began and ended."""

    team: str
    rows: int
    seconds: float
    came: float
    began: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Load:
    """A team that sends `per_second` requests from now on, whatever becomes of them, of `rows` rows each."""

    team: str
    per_second: float
    rows: int = 1
    seconds: float = 1.0
    returns: bool = False
    """Whether a refused request is sent again, at the time that it is told."""


@dataclass
class World:
    """Events in the order of their times. Of the rows that are let in, the engine works on the first `rows`."""

    rows: int = 32
    ahead: int = 8
    limit: int = 100
    teams: dict[str, TeamSettings] = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self):
        self.clock = Clock()
        self.admission = Admission(self.limit, lambda name: self.teams.get(name, TeamSettings()), clock=self.clock)
        self.order = TurnOrder(self.rows + self.ahead, self.clock)
        self.admitted, self.refused = [], []
        self.places, self.tickets = {}, {}
        self._engine = []  # what was let in and has not begun
        self._busy = 0
        self._events, self._numbers = [], count()
        self._random = random.Random(self.seed)  # noqa: S311 - the same every time

    def run(self, loads, seconds):
        """So long all loads send; then what was admitted comes to its end."""
        self._until = self.clock.now + seconds
        for load in loads:
            self._later(0.0, self._send, load)
        while self._events:
            self.clock.now, _, act, *args = heapq.heappop(self._events)
            act(*args)

    def done(self, since, until):
        """Rows that ended in that time, by team."""
        rows = Counter()
        for asked in self.admitted:
            if asked.ended is not None and since <= asked.ended - 1_000_000.0 < until:
                rows[asked.team] += asked.rows
        return rows

    def _later(self, seconds, act, *args):
        heapq.heappush(self._events, (self.clock.now + seconds, next(self._numbers), act, *args))

    def _send(self, load):
        if self.clock.now < self._until:
            self._later(self._random.expovariate(load.per_second), self._send, load)
            self._come(load)

    def _come(self, load):
        try:
            place = self.admission.enter(load.team)
        except EngineFullError as error:
            self.refused.append((self.clock.now, load.team, error))
            if load.returns and self.clock.now < self._until:
                self._later(error.retry_after, self._come, load)
            return
        asked = Asked(load.team, load.rows, load.seconds * self._random.uniform(0.5, 1.5), self.clock.now)
        self.admitted.append(asked)
        ticket = self.order.add(asked.team, asked.rows)
        self.places[asked], self.tickets[ticket] = place, asked
        self._go_on()

    def _go_on(self):
        for ticket in self.order.start():
            self.places[self.tickets[ticket]].begin()
            self._engine.append(ticket)
        while self._engine and (not self._busy or self._busy + self._engine[0].rows <= self.rows):
            ticket = self._engine.pop(0)
            asked = self.tickets[ticket]
            asked.began = self.clock.now
            self._busy += asked.rows
            self._later(asked.seconds, self._end, ticket)

    def _end(self, ticket):
        asked = self.tickets.pop(ticket)
        asked.ended = self.clock.now
        self._busy -= asked.rows
        self.order.remove(ticket)
        self.places.pop(asked).leave()
        self._go_on()
