"""The promises: how each is measured with one client, and how the clients' figures are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from bench.faults import cuts, down, early, memory, report, vectors, weather
from bench.faults.plan import Ask, Extent


class Promised(Protocol):
    """Figures that say whether they are what we promise of our client."""

    @property
    def kept(self) -> bool: ...


Measured: TypeAlias = Callable[[str, Ask, Extent], Sequence[Promised]]

CLIENTS = ("ours", "openai", "official")
OURS = ("ours", "configured")


@dataclass(frozen=True)
class Row:
    title: str
    measured: Measured
    written: Callable[[Mapping[str, Any]], str]  # each row knows the type of its own figures
    clients: tuple[str, ...] = CLIENTS


def _early(_: str, ask: Ask, extent: Extent) -> list[early.EarlyFigures]:
    return [early.measure(ask, extent.early_tries, run_async=run_async) for run_async in (False, True)]


def _vectors(_: str, ask: Ask, __: Extent) -> list[vectors.VectorFigures]:
    return [vectors.measure(ask)]


def _cuts(name: str, ask: Ask, extent: Extent) -> list[cuts.CutFigures]:
    """The peers read the second shape alone."""
    return cuts.measure(ask, extent, ("first", "second") if name in OURS else ("second",))


def _down(_: str, ask: Ask, extent: Extent) -> list[down.DownFigures]:
    return down.measure(ask, extent.down_calls)


def _weather(_: str, ask: Ask, extent: Extent) -> list[weather.WeatherFigures]:
    return [weather.measure(ask, extent.weather_calls)]


def _memory(_: str, ask: Ask, extent: Extent) -> Sequence[memory.LongFigures | memory.ManyFigures]:
    return memory.measure(ask, extent.long_events, extent.streams)


# Retry-After comes first: it waits more than it works.
ROWS = (
    Row("Retry-After", _early, report.early),
    Row("event streams", _vectors, report.vectors),
    Row("cut streams", _cuts, report.cuts),
    Row("a server that is down", _down, report.down),
    Row("duplicate generations", _weather, report.weather, ("ours", "configured", "openai", "official")),
    Row("memory", _memory, report.memory),
)
