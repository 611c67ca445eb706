"""From counts to what Prometheus calls metric families."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from friendli_endpoint.server.telemetry.counts import Histogram, Summary


def counter(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> CounterMetricFamily:
    """`name` without its `_total`."""
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def gauge(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def histogram(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], Histogram]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, _buckets(value), value.total)
    return family


def summary(name: str, text: str, value: Summary) -> SummaryMetricFamily:
    family = SummaryMetricFamily(name, text, count_value=value.count, sum_value=value.total)
    for quantile, at in value.quantiles().items():
        family.add_sample(name, {"quantile": str(quantile)}, at)
    return family


def untyped(name: str, text: str, value: float, labels: Mapping[str, str] | None = None) -> Metric:
    """A counter whose name, which others have chosen, does not end as OpenMetrics wants."""
    family = Metric(name, text, "unknown")
    family.add_sample(name, dict(labels or {}), value)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative, as the format wants them."""
    return list(zip((*map(str, histogram.bounds), "+Inf"), accumulate(histogram.counts), strict=True))
