"""The line of each request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from friendli_endpoint.server.telemetry.record import RequestRecord

LOGGER: Final = "friendli.request"
_QUIET: Final = frozenset({"/health", "/ready", "/metrics"})

_log = logging.getLogger(LOGGER)


def log_request(record: RequestRecord) -> None:
    """Write the line of a request that is over; what only watches the server is told at debug level."""
    level = logging.DEBUG if record.route in _QUIET else logging.INFO
    if _log.isEnabledFor(level):
        _log.log(level, "%s %s", record.method, record.route, extra={"fields": fields_of(record)})


def fields_of(record: RequestRecord) -> dict[str, str | int | float | bool]:
    """What is told of a request, without what is not known of it."""
    fields = {
        "request_id": record.request_id,
        "client_id": record.client_id,
        "team": record.team,
        "token": record.token,
        "endpoint": record.endpoint,
        "adapter": record.adapter,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "outcome": record.outcome,
        "reason": record.reason,
        **(_completion(record) if record.completes else {}),
        "ms": _ms(record.seconds),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _completion(record: RequestRecord) -> dict[str, str | int | float | bool | None]:
    return {
        "stream": record.stream,
        "prompt_tokens": record.prompt_tokens,
        "cached_tokens": record.cached_tokens,
        "completion_tokens": record.completion_tokens,
        "ttft_ms": _ms(record.first_token_seconds),
        "queue_ms": _ms(record.queue_seconds),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 3)
