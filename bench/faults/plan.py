"""How much of everything is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

# Asks one client, in a process of its own or in this one: `ask(op, **values)`; see `child.answer`.
Ask: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Extent:
    """What is done with one client: streams cut at `offsets` places, `at_once` of them at a time, and so on.

    A stall is noticed after `stall_s`, which must be long beside the time that so many calls at once need to begin.
    `down_calls` go to each server that is down, `weather_calls` through faults.
    """

    offsets: int
    at_once: int
    stall_s: float
    down_calls: int
    weather_calls: int
    early_tries: int
    long_events: int
    streams: int


# "configured" is ours with a RetryConfig.
# The official client opens at most 100 connections, and makes some 70 requests in a call to a server that is down.
FULL = {
    "ours": Extent(500, 250, 4.0, 1000, 10_000, 5, 100_000, 1000),
    "openai": Extent(500, 250, 4.0, 200, 1000, 5, 10_000, 200),
    "official": Extent(500, 100, 2.5, 5, 1000, 5, 5000, 200),
    "configured": Extent(0, 0, 0, 0, 2000, 0, 0, 0),
}
QUICK = {
    "ours": Extent(50, 50, 1.5, 1000, 400, 1, 6000, 60),
    "openai": Extent(50, 50, 1.5, 50, 100, 1, 1500, 10),
    "official": Extent(50, 50, 1.5, 2, 100, 1, 1500, 10),
    "configured": Extent(0, 0, 0, 0, 200, 0, 0, 0),
}
