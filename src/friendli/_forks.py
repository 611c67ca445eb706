"""What a forked child must not share with its parent: connections, and locks that another thread held."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Something that puts itself right in a forked child."""

    def after_fork(self) -> None:
        """Called in the child before anything else runs there; the parent's other threads are gone."""


_kept: WeakSet[Forked] = WeakSet()
_of_the_parent: list[object] = []


def leave_to_parent(*things: object) -> None:
    """Keep what a child inherited for as long as it lives: dropping it could close it, or wait for a lock for ever."""
    _of_the_parent.extend(things)


def renew_after_fork(thing: Forked) -> None:
    """Call `thing.after_fork` in every child that is forked while `thing` lives."""
    _kept.add(thing)


def _after_fork() -> None:
    for thing in list(_kept):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
