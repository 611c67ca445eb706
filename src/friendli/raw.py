"""What `with_raw_response` gives: the answer around a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli._call import Reply
    from friendli._watch import Watch

__all__ = ["RawResponse"]

T = TypeVar("T")


class RawResponse(Generic[T]):
    """A good answer; `parse` gives the result, or the stream, that the plain call would have returned.

    `headers` have lower-case names. `content` is the body, b"" for a stream. `retries_taken` counts the attempts before
    this one, `elapsed` are the seconds from the call's begin to the answer's (of a stream: to its head).
    `http_response` is the HTTP library's response.
    """

    def __init__(self, reply: Reply, watch: Watch, parsed: T) -> None:
        self.status_code = reply.status
        self.headers: Mapping[str, str] = reply.headers
        self.request_id = reply.request_id
        self.content = reply.body
        self.retries_taken = watch.attempts - 1
        self.elapsed = watch.elapsed()
        self.http_response = reply.raw()
        self._parsed = parsed

    def parse(self) -> T:
        """The result, or the stream; the same object every time."""
        return self._parsed

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status_code={self.status_code}, request_id={self.request_id!r})"
