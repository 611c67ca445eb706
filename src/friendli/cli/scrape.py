"""What /metrics says at one moment, and what has grown between two of them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels: TypeAlias = frozenset[tuple[str, str]]


class Series(NamedTuple):
    """One line: its labels and its value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Scrape:
    """All series by the name of their lines; `at` is in seconds of whatever clock both scrapes are of."""

    at: float
    series: Mapping[str, list[Series]]

    @classmethod
    def of(cls, text: str, at: float) -> Scrape:
        """Read the text format. Raises `ValueError` when it is something else."""
        series: dict[str, list[Series]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series.setdefault(sample.name, []).append(Series(sample.labels, float(sample.value)))
        return cls(at, series)

    def find(self, name: str, **labels: str) -> list[Series]:
        """The lines of this name that have these labels."""
        return [each for each in self.series.get(name, []) if labels.items() <= each.labels.items()]

    def sum(self, name: str, **labels: str) -> float:
        """Their values together."""
        return sum(each.value for each in self.find(name, **labels))

    def values_of(self, label: str, name: str, **labels: str) -> list[str]:
        """The values of a label on these lines, sorted."""
        return sorted({each.labels[label] for each in self.find(name, **labels) if label in each.labels})

    def since(self, earlier: Scrape) -> Scrape:
        """How much each line has grown; one that has shrunk began again at nothing. `at` is how long that took."""
        grown = {name: _grown(lines, earlier.series.get(name, [])) for name, lines in self.series.items()}
        return Scrape(self.at - earlier.at, grown)

    def quantile(self, quantile: float, name: str, **labels: str) -> float | None:
        """The quantile of a histogram over all its lines, straight within a bucket; None when it is empty.

        What lies behind the last bound is taken to lie at it.
        """
        counts: dict[float, float] = {}
        for each in self.find(f"{name}_bucket", **labels):
            bound = float(each.labels["le"])
            counts[bound] = counts.get(bound, 0.0) + each.value
        return _quantile(quantile, sorted(counts.items()))


def _grown(lines: list[Series], earlier: list[Series]) -> list[Series]:
    before = {frozenset(each.labels.items()): each.value for each in earlier}
    return [Series(each.labels, _growth(each, before)) for each in lines]


def _growth(line: Series, before: Mapping[Labels, float]) -> float:
    growth = line.value - before.get(frozenset(line.labels.items()), 0.0)
    return growth if growth >= 0 else line.value


def _quantile(quantile: float, buckets: list[tuple[float, float]]) -> float | None:
    """Of cumulative `buckets`, by their bounds."""
    total = buckets[-1][1] if buckets else 0.0
    if not total:
        return None
    rank, low, below = quantile * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            return low if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below)
        low, below = (low if math.isinf(bound) else bound), count
    return low
