"""Memory: one long stream, and many streams that end in three ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from typing import TYPE_CHECKING

from bench.faults.answers import WORDS, chunked, second_shape
from bench.faults.server import serving

if TYPE_CHECKING:
    from bench.faults.plan import Ask
    from bench.faults.server import Asked, Step

ENDS = ("read", "closed", "dropped")
SHORT, UNFINISHED = 20, 1500  # events; of a stream that is not read, much must be left to come
FLAT_PYTHON_KIB = 32  # what caches may still take after some dozens of streams
FLAT_KIB = 2048


@dataclass(frozen=True)
class LongFigures:
    """One stream of `events` events; see `leaks.long_stream` for the figures."""

    run_async: bool
    events: int
    held: float
    left: float
    peak_kib: float
    rss_kib: float

    @property
    def kept(self) -> bool:
        return self.rss_kib <= FLAT_KIB and self.left <= self.events


@dataclass(frozen=True)
class ManyFigures:
    """`streams` streams; see `leaks.many_streams`."""

    run_async: bool
    end: str
    streams: int
    bytes: float
    rss_kib: float
    sockets: int
    tasks: int
    sockets_closed: int

    @property
    def kept(self) -> bool:
        idle = self.sockets <= int(self.end == "read") and self.tasks == 0 and self.sockets_closed == 0
        return idle and self.rss_kib <= FLAT_KIB and self.bytes <= FLAT_PYTHON_KIB * 1024


def measure(ask: Ask, events: int, streams: int) -> list[LongFigures | ManyFigures]:
    with serving(script) as server:
        # The long streams come last: they grow the process, and what came after could grow into that.
        many = [
            _many(ask, server.url, streams, end, run_async=run_async) for end in ENDS for run_async in (False, True)
        ]
        return [_long(ask, server.url, events, run_async=run_async) for run_async in (False, True)] + many


def script(asked: Asked) -> list[Step]:
    """A stream of as many tokens as the prompt says: "tokens 20"."""
    return [_answer(int(asked.prompt.split()[1]))]


@cache
def _answer(tokens: int) -> bytes:
    """No text comes twice, so that no cache of strings makes the client look smaller than it is."""
    return chunked(second_shape(tuple(f"{word}{number}" for number, word in enumerate(islice(cycle(WORDS), tokens)))))


def _long(ask: Ask, url: str, events: int, *, run_async: bool) -> LongFigures:
    return LongFigures(run_async, events, **ask("long", url=url, events=events, run_async=run_async))


def _many(ask: Ask, url: str, streams: int, end: str, *, run_async: bool) -> ManyFigures:
    tokens = SHORT if end == "read" else UNFINISHED
    asked = {"url": url, "streams": streams, "tokens": tokens, "end": end, "run_async": run_async}
    return ManyFigures(run_async, end, streams, **ask("many", **asked))
