"""When to try again and how long to wait. Pure: what happened and the clock's readings come as arguments."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC
from enum import Enum, auto
from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from friendli.utils import RetryConfig

_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
_TRANSIENT = frozenset({408, 500, 502, 504})
_THROTTLED = frozenset({429, 503})
_DOCUMENTED = ("429", "500", "502", "503", "504")


class Trouble(Enum):
    """What went wrong with one attempt."""

    STATUS = auto()  # an error status
    CONNECT = auto()  # no connection: the request cannot have arrived
    BROKEN = auto()  # the connection broke before the answer began
    TIMEOUT = auto()  # connected, but silent for too long
    FINAL = auto()  # trying again is no use, or no right: the answer had begun


@dataclass(frozen=True)
class Setback:
    """One failed attempt: `status` and lower-case `headers` with `Trouble.STATUS`; `wall` is Unix time, seconds."""

    trouble: Trouble
    status: int = -1
    headers: Mapping[str, str] | None = None
    wall: float = 0.0

    @property
    def asked_wait(self) -> float | None:
        """Seconds that the server asked to wait, None if it did not."""
        return retry_after(self.headers, self.wall) if self.headers else None

    @property
    def throttled(self) -> bool:
        """The server lives but has no room."""
        return self.status in _THROTTLED


class RetryPolicy(Protocol):
    """Decides after each failed attempt."""

    def wait(self, setback: Setback, attempt: int, elapsed: float) -> float | None:
        """Seconds until the next attempt, None to give up.

        `attempt` counts from 0, `elapsed` are the seconds since the call began.
        """

    def succeeded(self) -> None:
        """Called once when an attempt brought an answer."""


class NoRetry:
    """Every failure is final."""

    def wait(self, setback: Setback, attempt: int, elapsed: float) -> float | None:
        return None

    def succeeded(self) -> None:
        pass


class RetryBudget:
    """A token bucket that all calls of a client share, so that retries cannot pile onto a server that is down."""

    CAPACITY = 500
    TRANSIENT_COST = 14
    THROTTLED_COST = 5

    def __init__(self) -> None:
        self._left = self.CAPACITY
        self._lock = Lock()

    def after_fork(self) -> None:
        """Another thread of the parent may have held the lock."""
        self._lock = Lock()

    def take(self, *, throttled: bool) -> int:
        """Pay for one retry, and tell what it cost; 0 if it cannot be afforded."""
        cost = self.THROTTLED_COST if throttled else self.TRANSIENT_COST
        with self._lock:
            if self._left < cost:
                return 0
            self._left -= cost
            return cost

    def pay_back(self, earned: int) -> None:
        """A success earns what its retry cost, or 1."""
        with self._lock:
            self._left = min(self.CAPACITY, self._left + earned)


@dataclass
class DefaultRetry:
    """At most two retries of one call, full jitter, within its total time (seconds) and the client's budget."""

    budget: RetryBudget
    total: float
    draw: Callable[[], float] = random.random
    paid: int = 0  # for the last retry

    RETRIES = 2
    TRANSIENT_BASE = 0.05
    THROTTLED_BASE = 1.0

    def wait(self, setback: Setback, attempt: int, elapsed: float) -> float | None:
        if attempt >= self.RETRIES or not _is_retryable(setback):
            return None
        base = self.THROTTLED_BASE if setback.throttled else self.TRANSIENT_BASE
        wait = self.draw() * base * 2.0**attempt + (setback.asked_wait or 0.0)
        if elapsed + wait >= self.total:
            return None
        self.paid = self.budget.take(throttled=setback.throttled)
        return wait if self.paid else None

    def succeeded(self) -> None:
        self.budget.pay_back(self.paid or 1)


@dataclass(frozen=True)
class ConfiguredRetry:
    """What the caller's `RetryConfig` says, within the call's total time (seconds)."""

    config: RetryConfig
    total: float
    draw: Callable[[], float] = random.random

    def wait(self, setback: Setback, attempt: int, elapsed: float) -> float | None:
        if not self._covers(setback):
            return None
        wait = max(self._interval(attempt), setback.asked_wait or 0.0)
        limit = min(self.config.backoff.max_elapsed_time / 1000, self.total)
        return wait if elapsed + wait <= limit else None

    def succeeded(self) -> None:
        pass

    def _covers(self, setback: Setback) -> bool:
        if setback.trouble is Trouble.STATUS:
            patterns = self.config.status_codes_override
            return _matches(setback.status, _DOCUMENTED if patterns is None else patterns)
        return self.config.retry_connection_errors and setback.trouble is not Trouble.FINAL

    def _interval(self, attempt: int) -> float:
        backoff = self.config.backoff
        longest = float(backoff.max_interval)
        try:
            growth: float = backoff.exponent**attempt
            interval = min(backoff.initial_interval * growth, longest)
        except OverflowError:
            interval = longest
        jitter = interval if backoff.jitter_ms is None else backoff.jitter_ms
        return min(interval + self.draw() * jitter, longest) / 1000


def _is_retryable(setback: Setback) -> bool:
    match setback.trouble:
        case Trouble.STATUS:
            match (setback.headers or {}).get("x-should-retry"):
                case "false":
                    return False
                case "true" if setback.status == 409:
                    return True
            return setback.status in _TRANSIENT | _THROTTLED
        case Trouble.CONNECT | Trouble.BROKEN:
            return True
        case Trouble.TIMEOUT | Trouble.FINAL:
            return False


def _matches(status: int, patterns: Sequence[str | int]) -> bool:
    shapes = (str(pattern).upper().replace("X", r"\d") for pattern in patterns)
    return any(re.fullmatch(shape, str(status)) is not None for shape in shapes)


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds to wait by `retry-after-ms`, else by `retry-after` (seconds or an HTTP date); None if neither is usable.

    Header names are lower-case, `wall` is the Unix time at which the answer came.
    """
    milliseconds = _longest(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "").strip()
    if (seconds := _longest(value)) is not None:
        return seconds
    until = _unix_time(value)
    if until is None:
        return None
    # The server meant its own clock, which is in the Date header; if ours is slow, never come back earlier.
    now = _unix_time(headers.get("date", ""))
    return max(0.0, until - wall, until - now if now is not None else 0.0)


def _longest(value: str) -> float | None:
    """The largest number of a header that may have come twice; None unless all are numbers."""
    numbers = [number.strip() for number in value.split(",")]
    return max(map(float, numbers)) if all(map(_SECONDS.fullmatch, numbers)) else None


def _unix_time(date: str) -> float | None:
    if not date:
        return None
    from email.utils import parsedate_to_datetime  # seldom needed, and dear to import

    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    # The asctime form names no zone; HTTP dates are always GMT.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
