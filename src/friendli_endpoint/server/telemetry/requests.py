"""The metrics of requests, by endpoint and adapter, in seconds and tokens."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from friendli_endpoint.server.telemetry.families import counter, gauge, histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from friendli_endpoint.server.telemetry.counts import Histogram
    from friendli_endpoint.server.telemetry.record import RequestRecord
    from friendli_endpoint.server.telemetry.tally import Tally
    from friendli_endpoint.server.telemetry.traffic import Traffic

_PLACE: Final = ("endpoint", "adapter")
_TIMES: Final[tuple[tuple[str, str, Callable[[Traffic], Histogram]], ...]] = (
    ("friendli_request_duration_seconds", "Seconds of requests that finished.", lambda each: each.duration),
    (
        "friendli_time_to_first_token_seconds",
        "Seconds from a request to its first token.",
        lambda each: each.first_token,
    ),
    (
        "friendli_inter_token_seconds",
        "Seconds from one batch of a reply's tokens to the next.",
        lambda each: each.inter_token,
    ),
    ("friendli_queue_seconds", "Seconds of waiting for a turn.", lambda each: each.queue),
)


def request_families(tally: Tally) -> Iterator[Metric]:
    """All of them."""
    for name, text, of in _TIMES:
        yield histogram(name, text, _PLACE, [(place, of(traffic)) for place, traffic in tally.table])
    yield from _sums(tally)
    yield from _here(tally)
    yield counter(
        "friendli_refusals",
        "Requests that were refused, by the type of the error.",
        ("endpoint", "reason"),
        tally.refusals.items(),
    )
    yield counter(
        "friendli_http_responses", "Replies of all routes.", ("route", "method", "status"), tally.responses.items()
    )


def _sums(tally: Tally) -> Iterator[Metric]:
    tokens = [
        ((*place, kind), value)
        for place, traffic in tally.table
        for kind, value in (
            ("prompt", traffic.prompt_tokens),
            ("cached", traffic.cached_tokens),
            ("completion", traffic.completion_tokens),
        )
    ]
    outcomes = [
        ((*place, outcome), value) for place, traffic in tally.table for outcome, value in traffic.outcomes.items()
    ]
    yield counter(
        "friendli_tokens", "Tokens that requests were charged with; prompt includes cached.", (*_PLACE, "kind"), tokens
    )
    yield counter(
        "friendli_request_outcomes",
        "Requests that reached an endpoint, by how they ended.",
        (*_PLACE, "outcome"),
        outcomes,
    )


def _here(tally: Tally) -> Iterator[Metric]:
    running, waiting = _count(tally, _runs), _count(tally, _waits)
    yield gauge("friendli_requests_running", "Requests that have their turn.", _PLACE, running.items())
    yield gauge("friendli_requests_waiting", "Requests without a turn yet.", _PLACE, waiting.items())


def _count(tally: Tally, counts: Callable[[RequestRecord], bool]) -> Counter[tuple[str, str]]:
    found = Counter({place: 0 for place, _ in tally.table})
    for record in tally.live:
        if record.endpoint is not None and counts(record):
            found[record.endpoint, tally.table.label(record.endpoint, record.adapter)] += 1
    return found


def _runs(record: RequestRecord) -> bool:
    return record.started_at is not None


def _waits(record: RequestRecord) -> bool:
    return record.queued_at is not None and record.started_at is None
