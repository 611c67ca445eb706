"""The documented knobs: when to try again and how long to wait. All times are in milliseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UNSET", "BackoffStrategy", "RetryConfig", "TimeoutConfig", "Unset"]


_STATUS = re.compile(r"[1-5][0-9Xx]{2}")
_LONGEST_SPAN_MS = 2**31 - 1


class Unset(Enum):
    """The type of `UNSET`: "not given", where None means something else."""

    UNSET = "unset"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class BackoffStrategy:
    """Waits grow from `initial_interval` by the factor `exponent` up to `max_interval` (both milliseconds).

    Each wait is lengthened at random by up to `jitter_ms`, or by up to its own length if that is None, never beyond
    `max_interval`. No attempt begins later than `max_elapsed_time` milliseconds after the call began.
    """

    initial_interval: int
    max_interval: int
    exponent: float
    max_elapsed_time: int
    jitter_ms: int | None = None

    def __post_init__(self) -> None:
        if self.initial_interval < 0 or self.max_interval < 0 or self.max_elapsed_time < 0:
            raise ValueError("intervals and max_elapsed_time are milliseconds from 0")
        if not self.exponent > 0:
            raise ValueError("exponent must be greater than 0")
        if self.jitter_ms is not None and self.jitter_ms < 0:
            raise ValueError("jitter_ms must be milliseconds from 0, or None")


@dataclass(frozen=True)
class RetryConfig:
    """Retry as `backoff` says if `strategy` is "backoff"; any other strategy never retries.

    `retry_connection_errors` tells whether a lost or refused connection and a timeout count too.
    `status_codes_override` replaces the statuses that are retried: entries such as "429", 429 or "5XX".
    """

    strategy: str
    backoff: BackoffStrategy
    retry_connection_errors: bool
    status_codes_override: Sequence[str | int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.backoff, BackoffStrategy):
            raise ValueError("backoff should be a utils.BackoffStrategy")
        if not all(_STATUS.fullmatch(str(entry)) for entry in self.status_codes_override or ()):
            raise ValueError('status_codes_override should hold statuses such as "429", 429 or "5XX"')


@dataclass(frozen=True)
class TimeoutConfig:
    """How long a call may take, in milliseconds.

    `connect_ms` bounds opening a connection; `between_bytes_ms` each silence of a stream, the one before its first
    byte included; `total_ms` a whole `complete`, retries and waits included, and for a stream the time in which retries
    may begin; `stream_total_ms` a whole stream.
    """

    connect_ms: float = 5_000
    between_bytes_ms: float = 120_000
    total_ms: float = 600_000
    stream_total_ms: float = 3_600_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check_span(name, value)

    @classmethod
    def of(cls, timeout_ms: float) -> TimeoutConfig:
        """What the plain number means: the whole of a `complete`, and each silence of a stream."""
        _check_span("timeout_ms", timeout_ms)
        return cls(
            connect_ms=min(cls.connect_ms, timeout_ms),
            between_bytes_ms=timeout_ms,
            total_ms=timeout_ms,
            stream_total_ms=max(cls.stream_total_ms, timeout_ms),
        )


def _check_span(name: str, milliseconds: object) -> None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise ValueError(f"{name} should be a number of milliseconds")
    if not 0 < milliseconds <= _LONGEST_SPAN_MS:
        raise ValueError(f"{name} should be milliseconds above 0, at most {_LONGEST_SPAN_MS} (24 days)")
