"""The metrics of Friendli Container, by its names, so that its dashboards work here: sums over the whole server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from friendli._version import VERSION
from friendli_endpoint.server.telemetry.families import counter, gauge, histogram, summary, untyped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from friendli_endpoint.server.telemetry.tally import Tally

_ALONE: Final[tuple[str, ...]] = ()  # the labels of what has none


def container_families(tally: Tally) -> Iterator[Metric]:
    """All of them."""
    yield from _counters(tally)
    yield from _failures(tally)
    yield from _gauges(tally)
    yield from _sizes(tally)
    yield summary("friendli_requests_latencies", "Nanoseconds of requests that finished.", tally.latencies)
    yield summary("friendli_requests_ttft", "Nanoseconds until the first token.", tally.first_tokens)
    yield summary("friendli_requests_queueing_delays", "Nanoseconds of waiting for a turn.", tally.queueing)
    yield gauge("friendli_engine_version", "The version that runs, as a label.", ("version",), [((VERSION,), 1)])


def _counters(tally: Tally) -> Iterator[Metric]:
    answered = tally.outcomes["finished"]
    yield counter("friendli_requests", "Requests for completions.", (), [(_ALONE, tally.requests)])
    yield counter(
        "friendli_responses", "Requests for completions that were answered in full.", (), [(_ALONE, answered)]
    )
    yield counter(
        "friendli_items", "Prompts times choices of all requests for completions.", (), [(_ALONE, tally.items)]
    )


def _failures(tally: Tally) -> Iterator[Metric]:
    outcomes = tally.outcomes
    yield untyped("friendli_failure_by_cancel", "Requests whose client left.", outcomes["left"])
    yield untyped("friendli_failure_by_timeout", "Requests whose own time was over.", outcomes["timeout"])
    yield untyped("friendli_failure_by_nan_error", "Always 0: no request ends for this reason here.", 0)
    yield untyped("friendli_failure_by_reject", "Requests that were refused.", outcomes["refused"])


def _gauges(tally: Tally) -> Iterator[Metric]:
    here = [record for record in tally.live if record.completes]
    items = sum(record.items for record in here)
    assigned = sum(record.items for record in here if record.started_at is not None)
    yield gauge("friendli_current_requests", "Requests for completions that are here now.", (), [(_ALONE, len(here))])
    yield gauge(
        "friendli_current_items", "Prompts times choices of the requests that are here now.", (), [(_ALONE, items)]
    )
    yield gauge("friendli_current_assigned_items", "Items of them that have their turn.", (), [(_ALONE, assigned)])
    yield gauge(
        "friendli_current_waiting_items", "Items of them that wait for their turn.", (), [(_ALONE, items - assigned)]
    )


def _sizes(tally: Tally) -> Iterator[Metric]:
    ratios, inputs, outputs = tally.hit_ratios, tally.input_lengths, tally.output_lengths
    yield histogram("friendli_tcache_hit_ratio", "Share of prompts that was cached.", (), [(_ALONE, ratios)])
    yield histogram("friendli_input_lengths", "Tokens of a request's prompts.", (), [(_ALONE, inputs)])
    yield histogram("friendli_output_lengths", "Tokens of a request's outputs.", (), [(_ALONE, outputs)])
