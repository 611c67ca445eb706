"""What is measured of a call while it lives. `_hooked` tells it to a caller's hooks, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli._call import Reply
    from friendli.errors import SDKError
    from friendli.models.response import CompletionsResult


class Watch:
    """One per call, from its begin to its end, which for a stream comes after its last event.

    `now` gives seconds and only goes forward. `attempts` counts the attempts begun.
    """

    wants_result = False  # whether somebody looks at the result of a stream

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.begun = now()
        self.attempts = 0
        self.time_to_first_token: float | None = None

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.now() - self.begun

    def request(self, headers: dict[str, str]) -> dict[str, str]:
        """The next attempt is about to be sent; returns the headers to send with it."""
        self.attempts += 1
        return headers

    def response(self, reply: Reply) -> None:
        """An answer began."""

    def retry(self, error: SDKError, wait: float) -> None:
        """The attempt failed, and there will be another one in `wait` seconds."""
        error.attempts = self.attempts

    def token(self) -> None:
        """A stream's first token came."""
        self.time_to_first_token = self.elapsed()

    def failed(self, error: SDKError) -> None:
        """The call is over: its caller gets `error`."""
        error.attempts = self.attempts

    def ended(
        self, result: CompletionsResult | None = None, error: SDKError | None = None, *, finished: bool = False
    ) -> None:
        """The call is over; only the first end counts. `finished`: the whole answer came."""
