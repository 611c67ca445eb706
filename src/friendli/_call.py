"""A call as data, and its life as one generator without IO.

`life` yields what it wants done, `Send` or `Sleep`, and is sent what came of it. Two thin drivers in `_transport` run
it, one blocking, one async; what a call does is written here only once:

    attempt ─ redirects ─┬─ good answer ── finish: the result, or a stream that is read from now on (`_reader`)
       ▲                 └─ anything else ─ the policy (`_retry`) says: raise its error, or wait and try again
       └──────────────────────────────────────────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

from friendli._answers import connection_error, status_error
from friendli._redirect import MOST_REDIRECTS, next_hop, redirect_advice
from friendli._retry import Setback, Trouble
from friendli._watch import Watch
from friendli.errors import SDKError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from friendli._retry import RetryPolicy

_SHORTEST_ATTEMPT = 0.001  # seconds; a sleep may overshoot the deadline, and no timeout may be negative
_LONGEST_WAIT_HINT = "; it asks to wait {asked:g} s, longer than this call may wait"

T = TypeVar("T")


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
    No attempt begins more than `patience` after the call's begin, which is less than the total where a stream may run
    for long. All in seconds. `watched` makes the watch from the clock.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    stream: bool
    limits: Limits
    policy: RetryPolicy = field(repr=False)
    patience: float
    authorization: Callable[[], str | None] = field(repr=False)
    watched: Callable[[Callable[[], float]], Watch] = field(default=Watch, repr=False)
    method: str = "POST"

    def attempt(self, watch: Watch) -> Send:
        """The next attempt's request."""
        authorization = self.authorization()
        headers = watch.request(dict(self.headers))
        if authorization is not None:
            headers.setdefault("authorization", authorization)
        deadline = watch.begun + self.limits.total
        limits = self.limits_left(watch)
        return Send(self.url, headers, self.content, self.stream, limits, deadline, self.method)

    def limits_left(self, watch: Watch) -> Limits:
        """How long things may take from now on."""
        left = max(self.limits.total - watch.elapsed(), _SHORTEST_ATTEMPT)
        silence = min(self.limits.silence, left) if self.stream else left
        return Limits(connect=min(self.limits.connect, left), silence=silence, total=left)


@dataclass(frozen=True)
class Send:
    """Send `content`. With `stream`, a good answer of events stays open; every other one is read to its end.

    No reading goes on past `deadline`, in seconds on the clock of the call. `abroad`: another origin redirected here,
    so nothing but these headers may go along.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    stream: bool
    limits: Limits
    deadline: float
    method: str = "POST"
    abroad: bool = False

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass(frozen=True)
class Sleep:
    """Wait for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """An answer. `headers` have lower-case names; `wall` is the Unix time at which it came, in seconds.

    `raw` gives the HTTP library's response, still open if it is a stream of events that was asked for.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    wall: float
    raw: Callable[[], object] = field(default=lambda: None, repr=False)

    @property
    def request_id(self) -> str | None:
        """The endpoint's name for the request."""
        return self.headers.get("x-request-id")


@dataclass(frozen=True)
class Failure:
    """No answer, or a broken one; `place` is where it was asked for."""

    trouble: Trouble
    message: str
    cause: BaseException | None
    timed_out: bool = False
    place: str = ""


Effect = Send | Sleep
Outcome = Reply | Failure | None


@dataclass(frozen=True)
class Done(Generic[T]):
    """The end of a life."""

    value: T


def advance(flow: Generator[Effect, Outcome, T], outcome: Outcome) -> Effect | Done[T]:
    """The next thing to do, or what the life returned; the first outcome is None."""
    try:
        return flow.send(outcome)
    except StopIteration as end:
        return Done(end.value)


def life(call: Call, clock: Callable[[], float], finish: Callable[[Reply, Watch], T]) -> Generator[Effect, Outcome, T]:
    """Attempt and wait until there is a good answer, and return what `finish` makes of it; raises `SDKError`."""
    watch = call.watched(clock)
    try:
        return finish((yield from _attempts(call, watch)), watch)
    except SDKError as error:
        watch.failed(error)
        raise
    except BaseException:
        watch.ended()
        raise


def as_it_is(reply: Reply, watch: Watch) -> Reply:
    """Finish with the answer itself."""
    watch.ended(finished=True)
    return reply


def _attempts(call: Call, watch: Watch) -> Generator[Effect, Outcome, Reply]:
    while True:
        outcome = yield from _exchange(call, watch)
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            call.policy.succeeded()
            return outcome
        elapsed = watch.elapsed()
        setback = _setback(outcome)
        wait = call.policy.wait(setback, watch.attempts - 1, elapsed)
        error = _error(call, outcome, setback, left=call.patience - elapsed)
        if wait is None:
            raise error
        watch.retry(error, wait)
        yield Sleep(wait)


def _exchange(call: Call, watch: Watch) -> Generator[Effect, Outcome, Reply | Failure]:
    """One attempt, with the redirects that it meets."""
    send = call.attempt(watch)
    for _ in range(MOST_REDIRECTS + 1):
        outcome = yield send
        if outcome is None:
            raise TypeError("a Send must be answered with a Reply or a Failure")
        if isinstance(outcome, Failure):
            return replace(outcome, place=send.place)
        watch.response(outcome)
        hop = next_hop(send, outcome)
        if hop is None:
            return outcome
        send = replace(hop, limits=call.limits_left(watch))
    return Failure(Trouble.FINAL, "the endpoint redirected too often", None, place=send.place)


def _setback(outcome: Reply | Failure) -> Setback:
    if isinstance(outcome, Failure):
        return Setback(outcome.trouble)
    return Setback(Trouble.STATUS, outcome.status, outcome.headers, outcome.wall)


def _error(call: Call, outcome: Reply | Failure, setback: Setback, *, left: float) -> SDKError:
    if isinstance(outcome, Failure):
        return connection_error(outcome)
    asked = setback.asked_wait
    advice = _LONGEST_WAIT_HINT.format(asked=asked) if asked is not None and asked >= left else ""
    return status_error(outcome, advice=advice or redirect_advice(outcome, call.url), retry_after=asked)
