"""Makes the record of each request, and sees how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from friendli_endpoint.server.errors import problem_of
from friendli_endpoint.server.limits import ClientLeftError
from friendli_endpoint.server.telemetry.record import NO_ROUTE, RequestRecord
from friendli_endpoint.server.telemetry.request_log import log_request
from friendli_endpoint.server.telemetry.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from friendli_endpoint.server.caller import Caller

_LONGEST_CLIENT_ID: Final = 128


class Telemetry:
    """What is told of requests: numbers in `tally`, lines in the log, of which `dropped` have been lost."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, dropped: Callable[[], int] = lambda: 0) -> None:
        self.clock = clock
        self.dropped = dropped
        self.tally = Tally(clock)

    def begin(self, scope: Scope) -> RequestRecord:
        """A request's record; the boundary of errors has given it its id."""
        record = RequestRecord(scope["request_id"], scope["method"], _client_id(scope), self.clock, self.tally)
        self.tally.live.add(record)
        return record

    def end(self, record: RequestRecord, scope: Scope) -> None:
        """Note where the request has led and whose it was, then count it and write its line."""
        record.route = getattr(scope.get("route"), "path", NO_ROUTE)
        caller: Caller | None = scope.get("caller")
        if caller is not None:
            record.team, record.token = caller.team, caller.identity.name
        record.end()
        log_request(record)


def record_of(scope: Scope) -> RequestRecord:
    """The record of a request; `Recorded` has put it there."""
    record: RequestRecord = scope["record"]
    return record


class Recorded:
    """Puts a record into the scope and ends it with the reply, whoever ends that. Belongs inside `ErrorBoundary`."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = scope["record"] = self._telemetry.begin(scope)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except BaseException as error:
            _note(record, error)
            raise
        finally:
            self._telemetry.end(record, scope)


def _note(record: RequestRecord, error: BaseException) -> None:
    """What the boundary is going to make of `error`."""
    record.failed(error)
    if record.status is None and isinstance(error, Exception) and not isinstance(error, ClientLeftError):
        record.status = problem_of(error).status


def _client_id(scope: Scope) -> str | None:
    """The client's own id for the request, to find it again; what cannot be printed is left out."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = given[:_LONGEST_CLIENT_ID].decode("ascii", errors="ignore")
    return "".join(char for char in text if char.isprintable()) or None
