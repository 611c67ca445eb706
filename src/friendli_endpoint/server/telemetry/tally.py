"""All that is counted of requests, and the requests that are here now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from friendli_endpoint.server.telemetry.counts import Histogram, Summary
from friendli_endpoint.server.telemetry.traffic import BASE, TrafficTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.server.telemetry.record import RequestRecord
    from friendli_endpoint.server.telemetry.traffic import Traffic

_RATIOS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_LENGTHS: Final = (1.0, 8.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0, 16_384.0, 32_768.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_NANOSECONDS: Final = 1e9


class Tally:
    """Written by the records, on the event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.live: set[RequestRecord] = set()
        self.requests = 0
        """For completions."""
        self.items = 0
        self.outcomes: Counter[str] = Counter()
        """Of requests for completions."""
        self.responses: Counter[tuple[str, str, str]] = Counter()
        """By route, method and status."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """By endpoint and reason."""
        self.latencies, self.first_tokens, self.queueing = Summary(), Summary(), Summary()
        """In nanoseconds."""
        self.hit_ratios = Histogram(_RATIOS)
        self.input_lengths, self.output_lengths = Histogram(_LENGTHS), Histogram(_LENGTHS)
        self.table = TrafficTable(clock)

    def traffic(self, endpoint: str, adapter: str | None) -> Traffic:
        """Where the requests of an endpoint and adapter add up."""
        return self.table.find(endpoint, adapter)

    def ended(self, record: RequestRecord, traffic: Traffic | None) -> None:
        """Count a request that is over."""
        self.live.discard(record)
        self._count_response(record)
        if record.completes:
            self._count_completion(record)
        if traffic is not None and record.outcome is not None:
            traffic.outcomes[record.outcome] += 1
            if record.outcome == "finished" and record.seconds is not None:
                traffic.duration.observe(record.seconds)

    def _count_response(self, record: RequestRecord) -> None:
        if record.status is not None:
            method = record.method if record.method in _METHODS else "other"
            self.responses[record.route, method, str(record.status)] += 1
        if record.outcome == "refused":
            self.refusals[record.endpoint or BASE, record.reason or BASE] += 1

    def _count_completion(self, record: RequestRecord) -> None:
        self.outcomes[record.outcome or ""] += 1
        if record.outcome == "finished":
            _observe(self.latencies, record.seconds)
        _observe(self.first_tokens, record.first_token_seconds)
        _observe(self.queueing, record.queue_seconds)
        if record.prompt_tokens:  # else the answer was there already
            self.hit_ratios.observe(record.cached_tokens / record.prompt_tokens)
            self.input_lengths.observe(record.prompt_tokens)
            self.output_lengths.observe(record.completion_tokens)


def _observe(summary: Summary, seconds: float | None) -> None:
    if seconds is not None:
        summary.observe(seconds * _NANOSECONDS)
