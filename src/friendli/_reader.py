"""Bytes of a stream -> events and, at the end, the whole; whatever goes wrong -> the error for it. Pure.

The two stream classes share it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from friendli._answers import mismatch
from friendli._pieces import NOT_FITTING, MisfitError, PieceReader, ReportedError
from friendli._sse import EventTooLargeError, SSEDecoder
from friendli.errors import APIStreamError, InvalidResponseError, SDKError, StreamTruncatedError
from friendli.models.response import CompletionsResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli._answers import Complaint
    from friendli._call import Failure, Reply
    from friendli._watch import Watch
    from friendli.models.stream import StreamedCompletionsResult, StreamedCompletionsTokenComplete


class StreamReader:
    """Feed it the body as it comes; after each feed, `done` tells whether the end was seen.

    What goes wrong is told to `watch` before it is raised, and so is the end.
    """

    def __init__(self, reply: Reply, watch: Watch) -> None:
        self._reply = reply
        self._watch = watch
        self._decoder = SSEDecoder()
        self._pieces = PieceReader()
        self._error: SDKError | None = None

    @property
    def done(self) -> bool:
        """The last event came."""
        return self._pieces.end is not None

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the call's begin to the first token; None before it."""
        return self._watch.time_to_first_token

    def feed(self, chunk: bytes) -> Iterator[StreamedCompletionsResult]:
        """The events that `chunk` completes; consume them all before feeding again.

        Raises `APIStreamError` for an error that the endpoint reports, `InvalidResponseError` for what cannot be read.
        """
        pieces, data = self._pieces, ""
        try:
            for data, _, _, _ in self._decoder.feed(chunk):
                events = pieces.read(data)
                if events and self._watch.time_to_first_token is None and pieces.end is None:
                    self._watch.token()
                yield from events
                if pieces.end is not None:
                    break
        except EventTooLargeError as error:
            raise self._told(self._invalid(str(error))) from error
        except (ReportedError, *NOT_FITTING) as error:
            yield from pieces.made  # what the same data said before
            self._fail(error, data)
        if pieces.end is not None:
            self.closed()

    def broken(self, failure: Failure | None = None) -> SDKError:
        """The error for a body that ended, or failed, before the end of the stream."""
        return self._truncated(failure.message if failure else "the stream ended without its last event")

    def closed(self) -> None:
        """Nobody reads on."""
        self._watch.ended(self._result_for_hooks(), finished=self.done)

    def result(self) -> CompletionsResult:
        """The whole, once everything is read; raises what the reading raised, or what is missing to a result."""
        end = self._whole()
        if end.usage is None:
            raise self._invalid("the endpoint sent no usage, which a result has; read the events instead")
        said = {**self._pieces.about, "choices": end.choices, "usage": end.usage}
        try:
            return CompletionsResult.model_validate(said)
        except ValueError as error:
            raise self._invalid("what the stream says of itself does not fit") from error

    def text(self) -> str:
        """The text of the first choice, once everything is read; raises what the reading raised."""
        return next((choice.text for choice in self._whole().choices if choice.index == 0), "")

    def __del__(self) -> None:
        with suppress(Exception):  # of hooks; there is nobody to tell
            self.closed()

    def _whole(self) -> StreamedCompletionsTokenComplete:
        if self._error is not None:
            raise self._error
        if self._pieces.end is None:
            raise self._truncated("the stream was closed before its end")
        return self._pieces.end

    def _result_for_hooks(self) -> CompletionsResult | None:
        if not (self._watch.wants_result and self.done):
            return None
        with suppress(SDKError):
            return self.result()
        return None

    def _fail(self, error: Exception, data: str) -> NoReturn:
        if isinstance(error, ReportedError):
            raise self._told(self._reported(error.complaint, data)) from None
        message = str(error) if isinstance(error, MisfitError) else "a part of the stream does not fit"
        raise self._told(self._invalid(message, data)) from error

    def _told(self, error: SDKError) -> SDKError:
        """The error, when the hooks have seen it."""
        self._error = error
        self._watch.failed(error)
        return error

    def _truncated(self, message: str) -> SDKError:
        error = StreamTruncatedError(
            message, self._reply.status, headers=self._reply.headers, request_id=self._reply.request_id
        )
        error.choices = self._pieces.fold.choices()
        return self._told(error)

    def _reported(self, complaint: Complaint, data: str) -> APIStreamError:
        error = APIStreamError(
            complaint.message or "the endpoint failed while it streamed",
            self._reply.status,
            data,
            self._reply.raw(),
            headers=self._reply.headers,
            request_id=complaint.request_id or self._reply.request_id,
            type=complaint.type,
            field=complaint.field,
        )
        error.choices = self._pieces.fold.choices()
        return error

    def _invalid(self, message: str, data: str = "") -> InvalidResponseError:
        error = mismatch(self._reply, message, event=data)
        error.choices = self._pieces.fold.choices()
        return error
