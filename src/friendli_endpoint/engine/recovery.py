"""Who is sent to a new child, and when: so that a request that ends the engine is found, and no other one fails.

Requests go in waves, and the next wave waits until each of the last one has settled: a token of it has come, or it is
over. After a death the first wave is all that are proven, because they had a token and have died once since. The others
are suspects, each a wave of its own: its trial. Then those follow that arrived meanwhile, and the engine is open again:
who arrives is sent at once.

A death during a trial is a strike for the suspect, if everything else in the child had settled there; at the second one
it is convicted. Until then a token clears it. So what ends the engine from outside has to hit two trials of the same
request to harm it, and those with a strike are tried last, at another moment than before.

A wave that takes too long, as a beam search or a long prompt may, is passed. That is a parole; each doubles the time of
the next trial, so it becomes long enough at last, and in the meantime nobody is blamed who ran beside the paroled.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Final

_TRIAL_SECONDS: Final = 5.0
_LOADING_SECONDS: Final = 30.0
_MOST_STRIKES: Final = 2


@dataclass(slots=True, eq=False)
class _Case:
    """What is known of a request. `deaths` are in a row, without a token between; so are `strikes` and `paroles`."""

    arrival: int
    tokens: int = 0
    deaths: int = 0
    strikes: int = 0
    paroles: int = 0
    settled: bool = False
    """In the child that is there."""

    @property
    def suspect(self) -> bool:
        return self.deaths > 1 or (self.deaths == 1 and not self.tokens)

    def clear(self) -> None:
        self.tokens += 1
        self.deaths = self.strikes = self.paroles = 0
        self.settled = True

    def die(self) -> None:
        self.deaths += 1
        self.settled = False

    def turn(self) -> tuple[int, int, int, int]:
        """Sorts suspects: the least accused first, then those with the fewest tokens, then the newest."""
        return self.strikes, self.paroles, self.tokens, -self.arrival


class Recovery:
    """Requests by id, from their arrival until they leave. Times are seconds of any clock, told by `hear`.

    Only what the child says makes time pass here: while it hangs, no trial ends.
    """

    def __init__(self) -> None:
        self._arrivals = count()
        self._inside: dict[str, _Case] = {}
        self._outside: dict[str, _Case] = {}
        self._wave: list[_Case] = []
        self._since = 0.0
        self._now = 0.0

    @property
    def held(self) -> list[str]:
        """Those that have not been sent to the child that is there."""
        return list(self._outside)

    def arrive(self, name: str) -> None:
        self._outside[name] = _Case(next(self._arrivals))

    def progress(self, name: str) -> None:
        """A new token has come, or a choice has ended."""
        if case := self._inside.get(name):
            case.clear()

    def leave(self, name: str) -> None:
        """It is over, however; unknown ones are ignored."""
        self._outside.pop(name, None)
        if case := self._inside.pop(name, None):
            case.settled = True

    def hear(self, now: float) -> None:
        """The child has said something, and what it said has been entered."""
        self._now = now
        self._wave = self._unsettled()
        passed = now - self._since
        if all(passed >= _TRIAL_SECONDS * 2**case.paroles for case in self._wave):
            for case in self._wave:
                case.paroles += 1
            self._wave = []

    def begin(self, now: float) -> None:
        """There is a new child, and nobody is in it."""
        self._now = self._since = now
        self._wave = []

    def end(self, *, loading: bool) -> list[str]:
        """The child is gone; who is convicted of it, and has left. `loading`: it may have been an adapter's doing."""
        unsettled = [case for case in self._inside.values() if not case.settled]
        if len(unsettled) == 1 and unsettled == self._unsettled() and unsettled[0].suspect and not loading:
            unsettled[0].strikes += 1
        for case in self._inside.values():
            case.die()
        self._outside |= self._inside
        self._inside = {}
        convicted = [name for name, case in self._outside.items() if case.strikes == _MOST_STRIKES]
        for name in convicted:
            del self._outside[name]
        return convicted

    def due(self, *, loading: bool) -> list[str]:
        """Those to be sent now, in order of arrival. `loading`: the child still has adapters to load.

        Trials wait for the adapters, so that it is plain whose doing a death is; but not for ever.
        """
        wave = self._next_wave(loading=loading) if self._outside else []
        if not wave:
            return []
        for name in wave:
            self._inside[name] = self._outside.pop(name)
        self._wave = [case for name in wave if (case := self._inside[name]).deaths]
        self._since = self._now
        return wave

    def _next_wave(self, *, loading: bool) -> list[str]:
        by_age = sorted(self._outside, key=lambda name: self._outside[name].arrival)
        suspects = [name for name in by_age if self._outside[name].suspect]
        if not suspects and not any(case.suspect for case in self._unsettled()):
            return by_age
        proven = [name for name in by_age if self._outside[name].deaths and name not in suspects]
        if proven:
            return proven
        if self._unsettled() or (loading and self._now - self._since < _LOADING_SECONDS):
            return []
        return [min(suspects, key=lambda name: self._outside[name].turn())] if suspects else by_age

    def _unsettled(self) -> list[_Case]:
        """Those of the last wave that the next one waits for."""
        return [case for case in self._wave if not case.settled]
