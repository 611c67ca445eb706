"""Tells a call's hooks what happens to it; loaded for clients that have some."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from friendli._checks import headers_of
from friendli._forks import renew_after_fork
from friendli._watch import Watch
from friendli.hooks import EndEvent, ErrorEvent, RequestEvent, ResponseEvent, RetryEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from friendli._call import Reply
    from friendli.errors import SDKError
    from friendli.hooks import CallInfo, Hooks
    from friendli.models.response import CompletionsResult


class HookedWatch(Watch):
    """A watch that `hooks` listen to, in their order."""

    def __init__(self, call: CallInfo, hooks: Sequence[Hooks], now: Callable[[], float]) -> None:
        super().__init__(now)
        self._call = call
        self._hooks = hooks
        self._over = False
        self.wants_result = any(each.end is not None for each in hooks)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """What goes on in the parent is told there."""
        self._over = True

    def request(self, headers: dict[str, str]) -> dict[str, str]:
        """Returns the headers with what the hooks added; raises `InvalidRequestError` for what HTTP cannot carry."""
        super().request(headers)
        for each in self._hooks:
            if each.request is not None:
                each.request(RequestEvent(self._call, self.attempts, headers))
        return headers_of(headers)

    def response(self, reply: Reply) -> None:
        for each in self._hooks:
            if each.response is not None:
                said = reply.status, reply.headers, reply.request_id
                each.response(ResponseEvent(self._call, self.attempts, *said, self.elapsed()))

    def retry(self, error: SDKError, wait: float) -> None:
        super().retry(error, wait)
        for each in self._hooks:
            if each.retry is not None:
                each.retry(RetryEvent(self._call, self.attempts, error, wait))

    def failed(self, error: SDKError) -> None:
        super().failed(error)
        if self._over:
            return
        with ExitStack() as rest:  # what one of them raises must not keep the others from hearing of it
            rest.callback(self.ended, error=error)
            for each in reversed(self._hooks):
                if each.error is not None:
                    rest.callback(each.error, ErrorEvent(self._call, error, self.elapsed()))

    def ended(
        self, result: CompletionsResult | None = None, error: SDKError | None = None, *, finished: bool = False
    ) -> None:
        if self._over:
            return
        self._over = True
        event = EndEvent(self._call, result, error, self.elapsed(), self.time_to_first_token, finished)
        with ExitStack() as rest:
            for each in reversed(self._hooks):
                if each.end is not None:
                    rest.callback(each.end, event)
