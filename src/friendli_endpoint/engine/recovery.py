"""Who is sent to a new child, and when: so that a request that ends the engine is found, and no other one fails.

After a first death all go again at once. Who dies twice in a row, without a token between, is a suspect: it goes when
all others have settled, which is that a token of them has come, or they are over, and it goes alone. That is its trial.
Then the next one, and at last those that arrived meanwhile; then the engine is open again, and who arrives is sent at
once. So requests go in waves, and each wave waits until the last one has settled.

A death during a trial is a strike for the suspect. It is tried again before all others, alone in the child, and at the
second strike it is convicted; a token clears it. What ends the engine from outside has to hit the same request four
times in a row to harm it, at different moments, in steps in which it might have got a token: while it only computes
again what it had, nobody is accused, since that has gone well before.

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
_EXCUSES: Final = 8
"""So many children in a row may end while a request computes again what it had, before that is held against it."""


@dataclass(slots=True, eq=False)
class _Case:
    """What is known of a request, from `children` on in a row: without a token between.

    `children` have ended with it inside; at so many `deaths` of them it was exposed: it might have been the cause.
    """

    arrival: int
    tokens: int = 0
    children: int = 0
    deaths: int = 0
    strikes: int = 0
    paroles: int = 0
    resumed: bool = False
    """In the child that is there, as `settled` is: it has computed again what it had."""
    settled: bool = False

    @property
    def suspect(self) -> bool:
        return self.deaths > 1

    @property
    def exposed(self) -> bool:
        """Whether what the child does for it now has not gone well before."""
        return not self.settled and (not self.tokens or self.resumed or self.children >= _EXCUSES)

    def clear(self) -> None:
        self.tokens += 1
        self.children = self.deaths = self.strikes = self.paroles = 0
        self.settled = True

    def die(self) -> None:
        self.deaths += self.exposed or self.settled
        self.children += 1
        self.resumed = self.settled = False

    def turn(self) -> tuple[bool, int, int, int]:
        """Sorts suspects: those with a strike first, then the fewest paroles, the fewest tokens, the newest."""
        return not self.strikes, self.paroles, self.tokens, -self.arrival


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
        self._heard = False

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

    def resume(self, name: str) -> None:
        """It has computed again what it had; its next token will be new."""
        if case := self._inside.get(name):
            case.resumed = True

    def leave(self, name: str) -> None:
        """It is over, however; unknown ones are ignored."""
        self._outside.pop(name, None)
        if case := self._inside.pop(name, None):
            case.settled = True

    def hear(self, now: float) -> None:
        """The child has said something, and what it said has been entered."""
        self._now, self._heard = now, True
        self._wave = self._unsettled()
        passed = now - self._since
        if all(passed >= _TRIAL_SECONDS * 2**case.paroles for case in self._wave):
            for case in self._wave:
                case.paroles += 1
            self._wave = []

    def begin(self, now: float) -> None:
        """There is a new child, and nobody is in it."""
        self._now = self._since = now
        self._heard = False
        self._wave = []

    def end(self, *, loading: bool) -> list[str]:
        """The child is gone; who is convicted of it, and has left. `loading`: it may have been an adapter's doing."""
        exposed = [case for case in self._inside.values() if case.exposed]
        if len(exposed) == 1 and exposed == self._unsettled() and exposed[0].suspect and not loading:
            exposed[0].strikes += 1
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

        Trials wait for the adapters, so that it is plain whose doing a death is, but not for ever; and for the child's
        first word, so that who ends each child as soon as it is ready hits nobody.
        """
        wave = self._next_wave(loading=loading) if self._outside else []
        if not wave:
            return []
        for name in wave:
            self._inside[name] = self._outside.pop(name)
        self._wave = [case for name in wave if (case := self._inside[name]).children]
        self._since = self._now
        return wave

    def _next_wave(self, *, loading: bool) -> list[str]:
        by_age = sorted(self._outside, key=lambda name: self._outside[name].arrival)
        suspects = [name for name in by_age if self._outside[name].suspect]
        if any(case.suspect for case in self._unsettled()):
            return []  # a trial goes on
        if not suspects:
            return by_age
        first = min(suspects, key=lambda name: self._outside[name].turn())
        others = [name for name in by_age if self._outside[name].children and name not in suspects]
        if others and not self._outside[first].strikes:
            return others
        return [first] if self._may_try(loading=loading) else []

    def _may_try(self, *, loading: bool) -> bool:
        waits_for_adapters = loading and self._now - self._since < _LOADING_SECONDS
        return self._heard and not waits_for_adapters and not self._unsettled()

    def _unsettled(self) -> list[_Case]:
        """Those of the last wave that the next one waits for."""
        return [case for case in self._wave if not case.settled]
