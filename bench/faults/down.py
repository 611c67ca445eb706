"""Amplification: how many requests a thousand calls make when the server is down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.faults.answers import failure
from bench.faults.server import Reset, refusing, serving

if TYPE_CHECKING:
    from bench.faults.plan import Ask
    from bench.faults.server import Asked, Step

MOST = 1.10
REFUSED = "refuses connections"
WAYS = ("answers 503", "answers 500", "resets connections", REFUSED)


@dataclass(frozen=True)
class DownFigures:
    """`requests` that `calls` calls of one client sent; where connections are refused, tries to connect."""

    way: str
    calls: int
    requests: int
    failed: int
    own: int

    @property
    def amplification(self) -> float:
        return self.requests / self.calls

    @property
    def kept(self) -> bool:
        return self.amplification <= MOST and self.own == self.failed == self.calls


def measure(ask: Ask, calls: int, ways: tuple[str, ...] = WAYS) -> list[DownFigures]:
    return [_measured(ask, calls, way) for way in ways]


def _measured(ask: Ask, calls: int, way: str) -> DownFigures:
    prompts = [f"call {number}" for number in range(calls)]
    if way == REFUSED:
        with refusing() as url:
            done = ask("calls", url=url, prompts=prompts, skip_waits=True)
            return _figures(way, done, done["connects"])
    with serving(lambda asked: down(asked, way)) as server:
        done = ask("calls", url=server.url, prompts=prompts, skip_waits=True)
        return _figures(way, done, server.requests)


def down(asked: Asked, way: str) -> list[Step]:
    if way == "resets connections":
        return [Reset]
    return [failure(503 if way == "answers 503" else 500)]


def _figures(way: str, done: dict[str, list[dict[str, object]]], requests: int) -> DownFigures:
    outcomes = done["outcomes"]
    failed = [one for one in outcomes if one["error"] is not None]
    return DownFigures(way, len(outcomes), requests, len(failed), sum(bool(one["own"]) for one in failed))
