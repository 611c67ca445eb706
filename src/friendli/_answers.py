"""What an answer means: a result, or the typed error that it stands for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from friendli.errors import APIConnectionError, APIError, APITimeoutError, InvalidResponseError, class_for_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError

    from friendli._call import Failure, Reply
    from friendli.errors import SDKError
    from friendli.models.response import CompletionsResult

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_LONGEST_LINE = 2_000  # characters


class Complaint(NamedTuple):
    """An error body, read: every part is None where the endpoint did not say."""

    message: str | None = None
    type: str | None = None
    field: str | None = None
    request_id: str | None = None


def complaint_in(value: object) -> Complaint:
    """Read `{"error": {...}}`, `{"error": "..."}`, `{"detail": ...}` or `{"message": ...}`; else an empty complaint."""
    if not isinstance(value, dict):
        return Complaint()
    match value:
        case {"error": dict(error)}:
            return _complaint(error)
        case {"message": str()}:
            return _complaint(value)
        case {"error": str(message)} | {"detail": str(message)}:
            return Complaint(_line(message))
        case {"detail": [{"msg": str(message), **rest}, *_]}:
            field = _location(rest.get("loc"))
            return Complaint(_line(f"{field}: {message}" if field else message), field=field)
    return Complaint()


def _complaint(error: Mapping[str, object]) -> Complaint:
    field = _line(error.get("field")) or _line(error.get("param"))  # the name that OpenAI's servers use
    return Complaint(_line(error.get("message")), _line(error.get("type")), field, _line(error.get("request_id")))


def status_error(reply: Reply, *, advice: str = "", retry_after: float | None = None) -> APIError:
    """The error for an answer with an error status; `advice` is added to the message."""
    complaint = complaint_in(_json(reply.body))
    message = complaint.message or f"the endpoint answered with HTTP status {reply.status}"
    return class_for_status(reply.status)(
        message + advice,
        reply.status,
        reply.body.decode("utf-8", "replace"),
        reply.raw(),
        headers=reply.headers,
        request_id=complaint.request_id or reply.request_id,
        type=complaint.type,
        field=complaint.field,
        retry_after=retry_after,
    )


def connection_error(failure: Failure) -> SDKError:
    """The error for an attempt that brought no whole answer; its cause is the HTTP library's error."""
    kind = APITimeoutError if failure.timed_out else APIConnectionError
    error = kind(f"{failure.message} ({failure.place})")
    error.__cause__ = failure.cause
    return error


def mismatch(reply: Reply, message: str, *, event: str | None = None) -> InvalidResponseError:
    """The error for a good status with content that does not fit; `event` is the part of a stream that does not."""
    return InvalidResponseError(
        message,
        reply.status,
        reply.body.decode("utf-8", "replace") if event is None else event,
        reply.raw(),
        headers=reply.headers,
        request_id=reply.request_id,
    )


def result_of(reply: Reply) -> CompletionsResult:
    """The result of a non-stream call; raises `InvalidResponseError` if the body is none."""
    from pydantic import ValidationError

    from friendli.models.response import CompletionsResult

    expect_content(reply, JSON)
    try:
        result = CompletionsResult.model_validate_json(reply.body)
    except ValidationError as error:
        raise mismatch(reply, _misfit(reply, error)) from error
    if (result.model_extra or {}).get("error") is not None:
        raise mismatch(reply, _reported(reply) or "the answer holds an error")
    return result


def _misfit(reply: Reply, error: ValidationError) -> str:
    place = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
    where = f": {place} does not fit" if place else ""
    return _reported(reply) or f"the answer is no completions result{where}"


def _reported(reply: Reply) -> str | None:
    """What an answer with a good status says of an error all the same."""
    message = complaint_in(_json(reply.body)).message
    return message and f"the endpoint reports an error with a good status: {message}"


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


def _line(value: object) -> str | None:
    """A text as one line that is safe to print, of a bounded length; None for what is no text, or says nothing."""
    if not isinstance(value, str):
        return None
    shown = "".join(character if character.isprintable() else " " for character in value[:_LONGEST_LINE])
    return shown.strip() or None


def _location(loc: object) -> str | None:
    parts = [str(part) for part in loc if part != "body"] if isinstance(loc, list) else []
    return ".".join(parts) or None
