"""Everything that a call raises.

SDKError                             base: status_code, message, body, headers, request_id, attempts
├── InvalidRequestError              the body or an option is wrong, nothing was sent; field     (also ValueError)
├── APIError                         the endpoint answered with an error; type, field, retry_after
│   ├── BadRequestError              400
│   ├── AuthenticationError          401
│   ├── PermissionDeniedError        403
│   ├── NotFoundError                404
│   ├── ConflictError                409
│   ├── UnprocessableEntityError     422
│   ├── RateLimitError               429
│   ├── InternalServerError          5xx
│   └── APIStreamError               an error object inside a stream that began well; text, choices
├── APIConnectionError               no answer came; __cause__ is the network's error
│   └── APITimeoutError              not in time                                                 (also TimeoutError)
├── InvalidResponseError             an answer came that is no completions reply; text, choices
└── StreamTruncatedError             a stream ended before its end; text, choices
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from friendli.models.response import CompletionsChoice

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class SDKError(Exception):
    """Base of all. Hashable, picklable (without `raw_response`).

    Its text never holds a token or a prompt, unless the endpoint's own message quotes the prompt.

    `status_code` is -1 where no answer came. `body` is the answer's raw text, `headers` have lower-case names,
    `raw_response` is the HTTP library's response where there is one. `attempts` counts the requests that were made, 0
    if there was none.
    """

    attempts: int = 0

    def __init__(
        self,
        message: str,
        status_code: int = -1,
        body: str = "",
        raw_response: object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.body = body
        self.raw_response = raw_response
        self.headers: Mapping[str, str] = dict(headers) if headers else _NO_HEADERS
        self.request_id = request_id

    def __str__(self) -> str:
        notes = [f"status {self.status_code}"] if self.status_code != -1 else []
        notes += [f"request {self.request_id}"] if self.request_id else []
        return f"{self.message} ({', '.join(notes)})" if notes else self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Callable[..., SDKError], tuple[object, ...]]:
        state = {**self.__dict__, "raw_response": None, "headers": dict(self.headers)}
        return _restored, (type(self), self.args, state)


def _restored(kind: type[SDKError], args: tuple[object, ...], state: dict[str, object]) -> SDKError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidRequestError(SDKError, ValueError):
    """The body or an option is wrong; nothing was sent. `field` is its dotted path, None for the whole."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class APIError(SDKError):
    """The endpoint answered with an error.

    `type` and `field` are what the endpoint said, `retry_after` the seconds that it asked to wait; None where it
    said nothing.
    """

    def __init__(
        self,
        message: str,
        status_code: int = -1,
        body: str = "",
        raw_response: object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        type: str | None = None,  # noqa: A002 - the wire's name
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status_code, body, raw_response, headers=headers, request_id=request_id)
        self.type = type
        self.field = field
        self.retry_after = retry_after


class BadRequestError(APIError):
    """400: the request could not be read."""


class AuthenticationError(APIError):
    """401: the token is missing or wrong."""


class PermissionDeniedError(APIError):
    """403: the token does not open this endpoint or team."""


class NotFoundError(APIError):
    """404: no such endpoint or adapter route."""


class ConflictError(APIError):
    """409: the request collides with another one."""


class UnprocessableEntityError(APIError):
    """422: a field of the body is wrong for this endpoint; `field` names it."""


class RateLimitError(APIError):
    """429: no room now."""


class InternalServerError(APIError):
    """5xx: the endpoint failed; the request is not at fault."""


class _Partial:
    """What had arrived of a stream that failed."""

    choices: Sequence[CompletionsChoice] = ()

    @property
    def text(self) -> str:
        """The text so far of the first choice, exactly as far as it arrived."""
        return next((choice.text for choice in self.choices if choice.index == 0), "")


class APIStreamError(_Partial, APIError):
    """The endpoint reported an error inside a stream that began well; `text` and `choices` hold what had arrived."""


class APIConnectionError(SDKError):
    """No answer came; `__cause__` is the HTTP library's error."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """No answer came in time."""


class InvalidResponseError(_Partial, SDKError):
    """An answer came that is no completions reply: other content, or data that does not fit.

    Inside a stream `body` is the event, and `text` and `choices` hold what had arrived before.
    """


class StreamTruncatedError(_Partial, SDKError):
    """A stream ended or stalled before its end; `text` and `choices` hold what had arrived."""


_BY_STATUS: Mapping[int, type[APIError]] = MappingProxyType(
    {
        400: BadRequestError,
        401: AuthenticationError,
        403: PermissionDeniedError,
        404: NotFoundError,
        409: ConflictError,
        422: UnprocessableEntityError,
        429: RateLimitError,
    }
)


def class_for_status(status: int) -> type[APIError]:
    """The class that an error answer with this HTTP status raises."""
    return _BY_STATUS.get(status, InternalServerError if status >= 500 else APIError)
