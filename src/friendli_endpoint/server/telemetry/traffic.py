"""The requests of one endpoint and adapter; and so many of these at once that no metric grows without end."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from friendli_endpoint.server.telemetry.counts import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE: Final = "-"
OTHERS: Final = "(other)"
"""No routes: those begin with a letter or a digit."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_MOST_ADAPTERS: Final = 50
_IDLE_SECONDS: Final = 600.0


def _seconds() -> Histogram:
    return Histogram(_SECONDS)


@dataclass(slots=True, eq=False)
class Traffic:
    """Sums over requests."""

    duration: Histogram = field(default_factory=_seconds)
    """Of those that finished."""
    first_token: Histogram = field(default_factory=_seconds)
    inter_token: Histogram = field(default_factory=_seconds)
    queue: Histogram = field(default_factory=_seconds)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def use(self, prompt: int, cached: int, completion: int) -> None:
        """So many tokens more."""
        self.prompt_tokens += prompt
        self.cached_tokens += cached
        self.completion_tokens += completion


class TrafficTable:
    """The traffic by endpoint and adapter.

    Adapters come and go; at most `most` are told apart. A new one takes the place of the one that was asked for least
    recently if that was long ago, else it is counted among the others of its endpoint.
    """

    def __init__(self, clock: Callable[[], float], most: int = _MOST_ADAPTERS) -> None:
        self._clock = clock
        self._most = most
        self._bases: dict[tuple[str, str], Traffic] = {}
        self._adapters: OrderedDict[tuple[str, str], Traffic] = OrderedDict()
        self._asked: dict[tuple[str, str], float] = {}

    def __iter__(self) -> Iterator[tuple[tuple[str, str], Traffic]]:
        yield from self._bases.items()
        yield from self._adapters.items()

    def find(self, endpoint: str, adapter: str | None) -> Traffic:
        """Where a request counts that has just come."""
        if adapter is None or not self._room((endpoint, adapter)):
            label = BASE if adapter is None else OTHERS
            return self._bases.setdefault((endpoint, label), Traffic())
        key = (endpoint, adapter)
        self._asked[key] = self._clock()
        traffic = self._adapters.setdefault(key, Traffic())
        self._adapters.move_to_end(key)
        return traffic

    def label(self, endpoint: str, adapter: str | None) -> str:
        """What the metrics call an adapter."""
        if adapter is None:
            return BASE
        return adapter if (endpoint, adapter) in self._adapters else OTHERS

    def _room(self, key: tuple[str, str]) -> bool:
        if key in self._adapters or len(self._adapters) < self._most:
            return True
        oldest = next(iter(self._adapters))
        if self._clock() - self._asked[oldest] < _IDLE_SECONDS:
            return False
        del self._adapters[oldest], self._asked[oldest]
        return True
