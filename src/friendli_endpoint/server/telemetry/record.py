"""What becomes of one request: who it is from, where it leads, when each step was, what it used, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from friendli_endpoint.server.telemetry.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.server.telemetry.tally import Tally
    from friendli_endpoint.server.telemetry.traffic import Traffic

Outcome: TypeAlias = Literal["finished", "left", "failed", "refused", "timeout"]
NO_ROUTE: Final = "(none)"


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request, from its head to the last byte of its reply; the request alone writes here, on the event loop.

    Moments are seconds of `clock`, None until they come. What is said after `end` is ignored, because an answer may
    outlive the request that it was made for.
    """

    request_id: str
    method: str
    client_id: str | None
    """What the client sent as X-Request-Id: its printable characters, not too many."""
    clock: Callable[[], float] = field(repr=False)
    tally: Tally = field(repr=False)
    arrived: float = field(init=False)
    route: str = NO_ROUTE
    """The template of its path, never the path."""
    team: str | None = None
    token: str | None = None
    """What of the token may be shown."""
    endpoint: str | None = None
    adapter: str | None = None
    stream: bool = False
    items: int = 0
    """Prompts times choices."""
    queued_at: float | None = None
    started_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    ended_at: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    status: int | None = None
    """Of the reply, None as long as none has begun."""
    outcome: Outcome | None = None
    reason: str | None = None
    """Of a refusal: the type of its error."""
    completes: bool = False
    """It asks for a completion."""
    _traffic: Traffic | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.arrived = self.clock()

    def asked(self) -> None:
        """It asks for a completion, whatever may be wrong with it."""
        self.completes = True
        self.tally.requests += 1

    def placed(self, endpoint: str, adapter: str | None = None) -> None:
        """It is for this endpoint and this adapter's route, and both are there."""
        self.endpoint, self.adapter = endpoint, adapter
        self._traffic = self.tally.traffic(endpoint, adapter)

    def queued(self, items: int) -> None:
        """Its order is made, of so many prompts times choices, and waits for its turn."""
        if self.queued_at is None and self.ended_at is None:
            self.items, self.queued_at = items, self.clock()
            self.tally.items += items

    def started(self) -> None:
        """The engine works on it from now on."""
        if self.started_at is None and self.ended_at is None:
            self.started_at = self.clock()
            if self._traffic is not None and self.queued_at is not None:
                self._traffic.queue.observe(self.started_at - self.queued_at)

    def sampled(self, tokens: int) -> None:
        """A batch with so many tokens is about to be sent."""
        if not tokens:
            return
        now = self.clock()
        traffic, last = self._traffic, self.last_token_at
        self.last_token_at = now
        if last is None:
            self.first_token_at = now
            if traffic is not None:
                traffic.first_token.observe(now - self.arrived)
        elif traffic is not None:
            traffic.inter_token.observe(now - last)

    def used(self, prompt: int, cached: int, completion: int) -> None:
        """The tokens that it has been charged with so far; `cached` are part of `prompt`."""
        if self._traffic is not None:
            self._traffic.use(
                prompt - self.prompt_tokens, cached - self.cached_tokens, completion - self.completion_tokens
            )
        self.prompt_tokens, self.cached_tokens, self.completion_tokens = prompt, cached, completion

    def failed(self, error: BaseException) -> None:
        """It ends with this error, which is not always to be seen by its status: a stream may have begun."""
        self.outcome, self.reason = verdict(error)

    def end(self) -> None:
        """The reply is over; without an error it is a good one, unless something else was said."""
        if self.ended_at is None:
            self.ended_at = self.clock()
            self.outcome = self.outcome or "finished"
            self.tally.ended(self, self._traffic)

    @property
    def seconds(self) -> float | None:
        """From the head's arrival to the end of the reply."""
        return _between(self.arrived, self.ended_at)

    @property
    def first_token_seconds(self) -> float | None:
        """From the head's arrival to the first batch with a token."""
        return _between(self.arrived, self.first_token_at)

    @property
    def queue_seconds(self) -> float | None:
        """From the order to its turn."""
        return _between(self.queued_at, self.started_at)


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else end - begin
