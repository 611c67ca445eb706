"""One shape for everything that goes wrong: `{"error": {"message", "type", "field", "request_id"}}`."""

from __future__ import annotations

import logging
import math
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException

from friendli_endpoint.errors import EngineError, EngineFullError, LedgerError, PoisonError, RequestError
from friendli_endpoint.server.limits import ClientLeftError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

_TYPES = {
    401: "authentication_error",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    429: "overloaded",
    500: "internal_error",
    503: "unavailable",
}
# The rest of the body is still on its way; reading it to the end only to drop it would be a gift.
_UNREAD = frozenset({408, 413, 431})


class UnavailableError(Exception):
    """The server cannot take requests now, though it may soon; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoppingError(UnavailableError):
    """The server is about to stop; when it has, there may be another one at its address."""

    def __init__(self) -> None:
        super().__init__("The server is stopping; send this to another one, or try again.", retry_after=5)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the client is told of it."""

    status: int
    message: str
    field: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    kind: str | None = None  # where the status does not say it

    @property
    def type(self) -> str:
        """What the body calls it, one of a few words."""
        return self.kind or _TYPES.get(self.status, "invalid_request")

    def encode(self, request_id: str) -> bytes:
        """The body, also of an event in a stream."""
        error = {"message": self.message, "type": self.type, "field": self.field, "request_id": request_id}
        return msgspec.json.encode({"error": error})


def problem_of(error: Exception) -> Problem:
    """What to tell the client about `error`; nothing of an error that we did not foresee."""
    match error:
        case RequestError(status=401):
            return Problem(401, str(error), headers=((b"www-authenticate", b"Bearer"),))
        case RequestError() if is_timeout(error):  # the request's own time is over; the server has room
            return Problem(429, str(error), error.field, ((b"x-should-retry", b"false"),), kind="timeout")
        case RequestError():
            close = ((b"connection", b"close"),) if error.status in _UNREAD else ()
            return Problem(error.status, str(error), error.field, close)
        case PoisonError():  # no fault of the client's, but to send it again would end the engine again
            return Problem(422, str(error), kind="quarantined")
        case EngineFullError():
            return Problem(429, str(error), headers=_retry_after(error.retry_after))
        case UnavailableError():
            return Problem(503, str(error), headers=_retry_after(error.retry_after))
        case EngineError() | LedgerError():
            return Problem(503, str(error), headers=_retry_after(1.0))
        case HTTPException():
            headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
            return Problem(error.status_code, _http_message(error.status_code), headers=headers)
        case _:
            return Problem(500, "Something went wrong in the server; the request is not at fault.")


def is_timeout(error: Exception) -> bool:
    """Whether a request ended because its own time was over."""
    return isinstance(error, RequestError) and error.status == HTTPStatus.TOO_MANY_REQUESTS


def _retry_after(seconds: float) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", str(max(1, math.ceil(seconds))).encode()),)


def _http_message(status: int) -> str:
    match status:
        case 404:
            return "There is nothing at this path; completions are at POST /dedicated/v1/completions."
        case 405:
            return "This path does not take this method; the Allow header names those that it takes."
        case _:
            return HTTPStatus(status).phrase + "."


def log_unforeseen(error: Exception, request_id: str) -> None:
    """Log an error that is ours, with its trace; those that the client can read are the client's business."""
    if problem_of(error).status == 500:
        _log.error("request %s failed", request_id, exc_info=error)


class ErrorBoundary:
    """Gives each request its id, and answers whatever the application raises in the one shape."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"req-{uuid.uuid4().hex}"
        scope["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientLeftError:
            return
        except Exception as error:
            log_unforeseen(error, request_id)
            if started:
                raise
            await _answer(problem_of(error), request_id, send_with_id)


async def _answer(problem: Problem, request_id: str, send: Send) -> None:
    body = problem.encode(request_id)
    await send_json(send, body, status=problem.status, headers=problem.headers)


async def send_json(
    send: Send, body: bytes, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Send a whole reply."""
    kind = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_nothing(send: Send) -> None:
    """Send that it is done, and that there is nothing to say."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
