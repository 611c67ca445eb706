"""How a number of places is divided between teams, decided from counters alone."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_ACTIVE_SECONDS: Final = 30.0


@dataclass(slots=True, eq=False)
class _Team:
    """What a team holds, and the most that it had use for within about 30 s."""

    held: int = 0
    want: int = 0
    wanted_at: float = 0.0

    def wish(self, places: int, now: float) -> None:
        if places >= self.want or now - self.wanted_at > _ACTIVE_SECONDS:
            self.want, self.wanted_at = places, now


class Shares:
    """`limit` places and the active teams: those that hold some, or asked for one in the last 30 s, if in vain.

    An active team's share is `limit` over their number, rounded up. Below it a team may take any free place. Beyond it
    a team takes only what the others leave of theirs: for each of them places stay free up to its share, but no more
    than it had use for lately, and one. A team that was refused has use for its whole share. So one alone may take all;
    when another comes, it gets what is given back next; and no place is empty for one that does not need it.

    There are never more than two times `limit` teams: from `limit` on, more of them change nothing in a share of one.
    Times are seconds of any clock.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._teams: dict[str, _Team] = {}
        self._recent: OrderedDict[str, float] = OrderedDict()  # when those asked that asked lately, the oldest first

    def held(self, name: str) -> int:
        """The places that a team holds, active or not."""
        return self._teams[name].held if name in self._teams else 0

    def ask(self, name: str, now: float) -> bool:
        """Whether the team may take a place now; it is active from now on."""
        team = self._teams.setdefault(name, _Team())
        self._recent[name] = now
        self._recent.move_to_end(name)
        self._forget(now)
        free = self.limit - self.taken
        allowed = free > 0 and (team.held < self.share or self._spares(free, team))
        team.wish(team.held + 1 if allowed else self.limit, now)
        return allowed

    def take(self, name: str) -> None:
        """The team, which has just asked, takes a place."""
        self.taken += 1
        self._teams[name].held += 1

    def give_back(self, name: str) -> None:
        """The team holds one place less."""
        self.taken -= 1
        self._teams[name].held -= 1
        self._drop(name)

    @property
    def share(self) -> int:
        """The places of each active team."""
        return -(-self.limit // max(1, len(self._teams)))

    def _spares(self, free: int, team: _Team) -> bool:
        """Whether of so many free places one is left when all other teams have what they lack."""
        share = self.share
        for other in self._teams.values():
            lacks = min(other.want + 1, share) - other.held
            if lacks > 0 and other is not team:
                free -= lacks
                if free <= 0:
                    return False
        return free > 0

    def _forget(self, now: float) -> None:
        while len(self._recent) > self.limit or now - next(iter(self._recent.values())) > _ACTIVE_SECONDS:
            name, _ = self._recent.popitem(last=False)
            self._drop(name)

    def _drop(self, name: str) -> None:
        if not self._teams[name].held and name not in self._recent:
            del self._teams[name]
