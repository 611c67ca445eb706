"""A call as data, and its life as one generator without IO.

`life` yields what it wants done, `Send` or `Sleep`, and is sent what came of it. Two thin drivers in `_transport` run
it, one blocking, one async; what a call does is written here only once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from friendli._answers import connection_error, status_error
from friendli._retry import Setback, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from friendli._retry import RetryPolicy
    from friendli.errors import SDKError

_SHORTEST_ATTEMPT = 0.001  # seconds; a sleep may overshoot the deadline, and no timeout may be negative
_LONGEST_WAIT_HINT = "; it asks to wait {asked:g} s, longer than this call may wait"


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds."""

    connect: float
    silence: float
    total: float


@dataclass(frozen=True)
class Call:
    """One logical call, complete before any IO.

    `headers` hold everything but the token, which `authorization` gives anew for each attempt (None: no header).
    `begun` is the monotonic time at which the call began; no attempt begins more than `patience` after it, which is
    less than the total where a stream may run for long. All in seconds.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    stream: bool
    limits: Limits
    policy: RetryPolicy = field(repr=False)
    patience: float
    authorization: Callable[[], str | None] = field(repr=False)
    begun: float
    method: str = "POST"

    @property
    def deadline(self) -> float:
        """The monotonic time at which the call is over."""
        return self.begun + self.limits.total

    def attempt(self, elapsed: float) -> Send:
        """The next attempt's request."""
        headers = dict(self.headers)
        authorization = self.authorization()
        if authorization is not None:
            headers.setdefault("authorization", authorization)
        left = max(self.limits.total - elapsed, _SHORTEST_ATTEMPT)
        silence = min(self.limits.silence, left) if self.stream else left
        limits = Limits(connect=min(self.limits.connect, left), silence=silence, total=left)
        return Send(self.url, headers, self.content, self.stream, limits, self.deadline, self.method)


@dataclass(frozen=True)
class Send:
    """Send `content`. With `stream`, a good answer of events stays open; every other one is read to its end.

    No reading goes on past `deadline`, a monotonic time in seconds.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    stream: bool
    limits: Limits
    deadline: float
    method: str = "POST"


@dataclass(frozen=True)
class Sleep:
    """Wait for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """An answer. `headers` have lower-case names; `at` is monotonic, `wall` Unix time, both in seconds.

    `raw` is the HTTP library's response, still open if it is a stream of events that was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: float
    wall: float
    raw: object = field(default=None, repr=False)


@dataclass(frozen=True)
class Failure:
    """No answer, or a broken one."""

    trouble: Trouble
    message: str
    cause: BaseException | None
    at: float
    timed_out: bool = False


Effect = Send | Sleep
Outcome = Reply | Failure | None


def life(call: Call) -> Generator[Effect, Outcome, Reply]:
    """Attempt and wait until there is a good answer to return; raises the `SDKError` of the last failure."""
    attempt, elapsed = 0, 0.0
    while True:
        outcome = yield call.attempt(elapsed)
        if outcome is None:
            raise TypeError("a Send must be answered with a Reply or a Failure")
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            call.policy.succeeded()
            return outcome
        elapsed = outcome.at - call.begun
        setback = _setback(outcome)
        wait = call.policy.wait(setback, attempt, elapsed)
        if wait is None:
            raise _error(call, outcome, setback, left=call.patience - elapsed)
        yield Sleep(wait)
        attempt, elapsed = attempt + 1, elapsed + wait


def _setback(outcome: Reply | Failure) -> Setback:
    if isinstance(outcome, Failure):
        return Setback(outcome.trouble)
    return Setback(Trouble.STATUS, outcome.status, outcome.headers, outcome.wall)


def _error(call: Call, outcome: Reply | Failure, setback: Setback, *, left: float) -> SDKError:
    if isinstance(outcome, Failure):
        return connection_error(outcome, place=urlsplit(call.url).netloc.rpartition("@")[2])
    asked = setback.asked_wait
    advice = _LONGEST_WAIT_HINT.format(asked=asked) if asked is not None and asked >= left else ""
    return status_error(outcome, advice=advice, retry_after=asked)
