"""What an endpoint was told to answer, in order."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from friendli.models.response import CompletionsResult
from friendli.testing.completions import completion
from friendli.testing.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli.testing.asked import Request
    from friendli.testing.replies import Scripted


class Script:
    """A queue of what to answer, safe to share between threads."""

    def __init__(self) -> None:
        self._left: deque[Reply | Callable[[Request], Scripted]] = deque()
        self._used = 0  # how often the first of them was taken
        self._lock = Lock()

    def extend(self, scripted: tuple[Scripted, ...]) -> None:
        """Put these last; raises `TypeError`."""
        checked = [taken(one, f"reply {number}") for number, one in enumerate(scripted, 1)]
        with self._lock:
            self._left.extend(checked)

    def next(self) -> Reply | Callable[[Request], Scripted] | None:
        """Take the next one, None at the end."""
        with self._lock:
            if not self._left:
                return None
            first = self._left[0]
            self._used += 1
            if not isinstance(first, Reply) or self._used == first.delivery.times:
                self._left.popleft()
                self._used = 0
            return first

    def unused(self) -> list[str]:
        """What is left, described."""
        with self._lock:
            left, used = list(self._left), self._used
        return [_described(one, 0 if at else used) for at, one in enumerate(left)]


def taken(scripted: object, place: str) -> Reply | Callable[[Request], Scripted]:
    """`scripted` as a reply, or as the function that it is; raises `TypeError`."""
    if isinstance(scripted, Reply):
        return scripted
    if isinstance(scripted, str | CompletionsResult):
        return completion(scripted)
    if callable(scripted) and not isinstance(scripted, type):
        return scripted
    hint = "; completion([...]) takes pieces" if isinstance(scripted, list | tuple) else ""
    raise TypeError(
        f"{place} should be a text, a reply or a function of a request, not {type(scripted).__name__}{hint}"
    )


def reply_to(request: Request, scripted: Reply | Callable[[Request], Scripted]) -> Reply:
    """`scripted`, or what it answers to `request`; raises `TypeError`."""
    while not isinstance(scripted, Reply):
        name = getattr(scripted, "__name__", "the function")
        scripted = taken(scripted(request), f"what {name} returns")
    return scripted


def _described(scripted: Reply | Callable[[Request], Scripted], used: int) -> str:
    if not isinstance(scripted, Reply):
        return f"{getattr(scripted, '__name__', 'a function')}()"
    times = scripted.delivery.times
    return f"{scripted!r}, {times - used} of {times} times" if times > 1 else repr(scripted)
