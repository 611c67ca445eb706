"""Tells a call's hooks what happens to it, and measures it by a clock that it is given."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from friendli._forks import renew_after_fork
from friendli.hooks import EndEvent, ErrorEvent, RequestEvent, ResponseEvent, RetryEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from friendli._call import Reply
    from friendli.errors import SDKError
    from friendli.hooks import CallInfo, Hooks
    from friendli.models.response import CompletionsResult


@dataclass(frozen=True)
class Listener:
    """Hooks, and what they are told that the call is."""

    hooks: Hooks
    call: CallInfo


class Watch:
    """One per call, from its begin to its end, which for a stream comes after its last event.

    `now` gives seconds and only goes forward. `attempts` counts the attempts begun.
    """

    def __init__(self, listeners: Sequence[Listener], now: Callable[[], float]) -> None:
        self._listeners = listeners
        self.now = now
        self._over = False
        self.begun = now()
        self.attempts = 0
        self.time_to_first_token: float | None = None
        if listeners:
            renew_after_fork(self)

    def after_fork(self) -> None:
        """What goes on in the parent is told there."""
        self._over = True

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.now() - self.begun

    def request(self, headers: dict[str, str]) -> None:
        """The next attempt is about to be sent; the hooks may add to `headers`."""
        self.attempts += 1
        for listener in self._listeners:
            if (tell := listener.hooks.request) is not None:
                tell(RequestEvent(listener.call, self.attempts, headers))

    def response(self, reply: Reply) -> None:
        """An answer began."""
        for listener in self._listeners:
            if (tell := listener.hooks.response) is not None:
                tell(self._answered(listener.call, reply))

    def retry(self, error: SDKError, wait: float) -> None:
        """The attempt failed, and there will be another one."""
        error.attempts = self.attempts
        for listener in self._listeners:
            if (tell := listener.hooks.retry) is not None:
                tell(RetryEvent(listener.call, self.attempts, error, wait))

    def token(self) -> None:
        """A stream's first token came."""
        self.time_to_first_token = self.elapsed()

    def failed(self, error: SDKError) -> None:
        """The call is over: its caller gets `error`."""
        error.attempts = self.attempts
        if self._over:
            return
        with ExitStack() as rest:  # what one of them raises must not keep the others from hearing of it
            rest.callback(self.ended, error=error)
            for listener in reversed(self._listeners):
                if (tell := listener.hooks.error) is not None:
                    rest.callback(tell, ErrorEvent(listener.call, error, self.elapsed()))

    def ended(
        self, result: CompletionsResult | None = None, error: SDKError | None = None, *, finished: bool = False
    ) -> None:
        """The call is over; only the first end counts. `finished`: the whole answer came."""
        if self._over:
            return
        self._over = True
        elapsed, first = self.elapsed(), self.time_to_first_token
        with ExitStack() as rest:
            for listener in reversed(self._listeners):
                if (tell := listener.hooks.end) is not None:
                    rest.callback(tell, EndEvent(listener.call, result, error, elapsed, first, finished))

    @property
    def wants_result(self) -> bool:
        """Whether somebody looks at the result of a stream."""
        return any(listener.hooks.end is not None for listener in self._listeners)

    def _answered(self, call: CallInfo, reply: Reply) -> ResponseEvent:
        request_id = reply.headers.get("x-request-id")
        return ResponseEvent(call, self.attempts, reply.status, reply.headers, request_id, self.elapsed())
