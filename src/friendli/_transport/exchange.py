"""A request and its answer as plain data: what passes between the network in memory and who scripts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

State: TypeAlias = Literal["unanswered", "open", "read", "closed", "broken"]
Ending: TypeAlias = Literal["reset", "close", "end", "stall"]
Step: TypeAlias = bytes | float


class EndlessWaitError(AssertionError):
    """A client without a timeout waits for what will never come."""


@dataclass(eq=False)
class Exchange:
    """A request as it came: `headers` have lower-case names, `at` is virtual time in seconds.

    `state` is how far its answer got.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    at: float
    state: State = "unanswered"


@dataclass(frozen=True)
class Answer:
    """What the transport plays: a wait of `delay` seconds, the head, then `body`: bytes, and waits in seconds.

    With `lost` there is no head, but an error. `ending` "end" ends the body well, "close" closes the connection within
    it, "reset" resets it, "stall" sends nothing more.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: tuple[Step, ...] = ()
    ending: Ending = "end"
    delay: float = 0.0
    lost: Literal["refused", "dropped"] | None = None


def rechunked(steps: tuple[Step, ...], size: int) -> Iterator[Step]:
    """The same bytes in chunks of `size`; one is shorter only before a wait and at the end."""
    held = bytearray()
    for step in steps:
        if isinstance(step, bytes):
            held += step
            whole = len(held) - len(held) % size
            yield from _cut(bytes(held[:whole]), size)
            del held[:whole]
        else:
            yield from _cut(bytes(held), size)
            held.clear()
            yield step
    yield from _cut(bytes(held), size)


def _cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[begin : begin + size] for begin in range(0, len(content), size))
