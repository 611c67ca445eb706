"""What an answer means: a result, or the typed error that it stands for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from friendli.errors import APIConnectionError, APIError, APITimeoutError, InvalidResponseError, class_for_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli._call import Failure, Reply
    from friendli.errors import SDKError
    from friendli.models.response import CompletionsResult

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_REQUEST_ID = "x-request-id"


class Complaint(NamedTuple):
    """An error body, read: every part is None where the endpoint did not say."""

    message: str | None = None
    type: str | None = None
    field: str | None = None
    request_id: str | None = None


def complaint_in(value: object) -> Complaint:
    """Read `{"error": {...}}`, `{"error": "..."}`, `{"detail": ...}` or `{"message": ...}`; else an empty complaint."""
    match value:
        case {"error": dict(error)}:
            return Complaint(*(_text(error.get(name)) for name in ("message", "type", "field", "request_id")))
        case {"error": str(message)} | {"detail": str(message)} | {"message": str(message)}:
            return Complaint(message)
        case {"detail": [{"msg": str(message), **rest}, *_]}:
            field = _location(rest.get("loc"))
            return Complaint(f"{field}: {message}" if field else message, field=field)
    return Complaint()


def status_error(reply: Reply, *, advice: str = "", retry_after: float | None = None) -> APIError:
    """The error for an answer with an error status; `advice` is added to the message."""
    complaint = complaint_in(_json(reply.body))
    message = complaint.message or f"the endpoint answered with HTTP status {reply.status}"
    return class_for_status(reply.status)(
        message + advice,
        reply.status,
        reply.body.decode("utf-8", "replace"),
        reply.raw,
        headers=reply.headers,
        request_id=complaint.request_id or reply.headers.get(_REQUEST_ID),
        type=complaint.type,
        field=complaint.field,
        retry_after=retry_after,
    )


def connection_error(failure: Failure, *, place: str) -> SDKError:
    """The error for an attempt that brought no whole answer from `place`; its cause is the HTTP library's error."""
    kind = APITimeoutError if failure.timed_out else APIConnectionError
    error = kind(f"{failure.message} ({place})")
    error.__cause__ = failure.cause
    return error


def mismatch(reply: Reply, message: str) -> InvalidResponseError:
    """The error for a good status with content that does not fit."""
    return InvalidResponseError(
        message,
        reply.status,
        reply.body.decode("utf-8", "replace"),
        reply.raw,
        headers=reply.headers,
        request_id=reply.headers.get(_REQUEST_ID),
    )


def result_of(reply: Reply) -> CompletionsResult:
    """The result of a non-stream call; raises `InvalidResponseError` if the body is none."""
    from pydantic import ValidationError

    from friendli.models.response import CompletionsResult

    expect_content(reply, JSON)
    try:
        return CompletionsResult.model_validate_json(reply.body)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise mismatch(
            reply, f"the answer is no completions result{f': {place} does not fit' if place else ''}"
        ) from error


def expect_content(reply: Reply, kind: str) -> None:
    """Raise `InvalidResponseError` unless the answer's content type is `kind`."""
    if _content_type(reply.headers) != kind:
        given = reply.headers.get("content-type", "of no content type")
        raise mismatch(reply, f"the answer should be {kind}, but is {given}")


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Whether an answer with these headers is a stream of events."""
    return _content_type(headers) == EVENT_STREAM


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _json(body: bytes) -> object:
    from pydantic_core import from_json

    try:
        return from_json(body)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _location(loc: object) -> str | None:
    parts = [str(part) for part in loc if part != "body"] if isinstance(loc, list) else []
    return ".".join(parts) or None
