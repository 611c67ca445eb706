"""In which order admitted requests go into the engine; no task, no timer, and a clock that is given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from friendli_endpoint.server.drain_rate import DrainRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ENOUGH: Final = 16
"""Requests that have left before a wait is foretold."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request of a team that makes the engine run `rows` sequences."""

    team: str
    rows: int
    arrival: int
    running: bool = False


@dataclass(slots=True, eq=False)
class _Team:
    """`since` is how many rows had been started in all when it was last its turn, or when it began to wait."""

    running: int = 0
    since: int = 0
    waiting: deque[Ticket] = field(default_factory=deque)


class TurnOrder:
    """Tickets that wait, and those that run beside each other in at most `room` rows; a larger one runs alone.

    Next is the first ticket of the team with the fewest rows running; among several, of the one that has waited longest
    since its last turn. So teams that want more than there is get equal parts of the rows, however many they ask for.

    Nobody starves. Whoever is next is passed by nobody, even when it needs more rows than are free: those that run come
    to their ends, and it starts. And a team that `room` rows were started past since its last turn is next in any case,
    however few rows others run.
    """

    def __init__(self, room: int, clock: Callable[[], float]) -> None:
        self.running_rows = 0
        self._room = room
        self._started = 0  # rows, ever
        self._arrivals = count()
        self._teams: dict[str, _Team] = {}
        self._drain = DrainRate(clock, enough=_ENOUGH)

    @property
    def waiting(self) -> int:
        """Tickets that wait."""
        return sum(len(team.waiting) for team in self._teams.values())

    def add(self, team: str, rows: int) -> Ticket:
        """A ticket that waits behind those of its team."""
        ticket = Ticket(team, rows, next(self._arrivals))
        queue = self._teams.setdefault(team, _Team())
        if not queue.waiting:
            queue.since = self._started
        queue.waiting.append(ticket)
        return ticket

    def start(self) -> Iterator[Ticket]:
        """Those whose turn it is now; they run from now on."""
        while (team := self._next()) and self._fits(team.waiting[0]):
            ticket = team.waiting.popleft()
            self._run(team, ticket)
            yield ticket

    def remove(self, ticket: Ticket) -> None:
        """The ticket is over, whether it waits or runs."""
        team = self._teams[ticket.team]
        if ticket.running:
            self._end(team, ticket)
        else:
            team.waiting.remove(ticket)
        if not team.running and not team.waiting:
            del self._teams[ticket.team]

    def expected_wait(self, team: str, rows: int) -> float | None:
        """Seconds until a ticket that is added now has its turn, as it goes lately; None when too little is known.

        Before it go those of its own team, and as many rows of each other one, if so many wait.
        """
        own = min(rows, self._room) + self._waiting_rows(team)
        others = sum(min(own, self._waiting_rows(other)) for other in self._teams if other != team)
        lacking = self.running_rows + own + others - self._room
        return 0.0 if lacking <= 0 else self._drain.seconds_for(lacking)

    def _next(self) -> _Team | None:
        return min((team for team in self._teams.values() if team.waiting), key=self._rank, default=None)

    def _rank(self, team: _Team) -> tuple[bool, int, int, int]:
        overdue = self._started - team.since >= self._room
        return not overdue, 0 if overdue else team.running, team.since, team.waiting[0].arrival

    def _fits(self, ticket: Ticket) -> bool:
        return not self.running_rows or self.running_rows + ticket.rows <= self._room

    def _waiting_rows(self, team: str) -> int:
        return sum(ticket.rows for ticket in self._teams[team].waiting) if team in self._teams else 0

    def _run(self, team: _Team, ticket: Ticket) -> None:
        ticket.running = True
        team.running += ticket.rows
        self.running_rows += ticket.rows
        self._started += ticket.rows
        team.since = self._started
        self._drain.watch(busy=True)

    def _end(self, team: _Team, ticket: Ticket) -> None:
        self._drain.count(ticket.rows)
        team.running -= ticket.rows
        self.running_rows -= ticket.rows
        self._drain.watch(busy=self.running_rows > 0)
