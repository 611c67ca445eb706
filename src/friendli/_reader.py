"""Bytes of a stream -> events, from both shapes that are on the wire. Pure; the two stream classes share it.

The first generation sends `{"event": "token_sampled", ...}` and closes with `{"event": "complete", ...}`. The second
sends text-completion chunks with `choices`, then perhaps one with the usage, then `[DONE]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from friendli._answers import complaint_in
from friendli._fold import CompletionFold
from friendli._sse import EventTooLargeError, SSEDecoder
from friendli.errors import APIStreamError, InvalidResponseError, StreamTruncatedError
from friendli.models.response import CompletionsUsage
from friendli.models.stream import (
    StreamedCompletionsResult,
    StreamedCompletionsTokenComplete,
    StreamedCompletionsTokenSampled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli._call import Failure, Reply

_END = "[DONE]"
_OF_A_PIECE = ("index", "text", "token", "logprobs", "output_logits")
_RESULT = TypeAdapter(StreamedCompletionsResult).validator
_USAGE = TypeAdapter(CompletionsUsage).validator


class StreamReader:
    """Feed it the body as it comes; after each feed, `done` tells whether the end was seen."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._decoder = SSEDecoder()
        self._fold = CompletionFold()
        self._usage: CompletionsUsage | None = None
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[StreamedCompletionsResult]:
        """The events that `chunk` completes; consume them all before feeding again.

        Raises `APIStreamError` for an error that the endpoint reports, `InvalidResponseError` for what cannot be read.
        """
        try:
            for event in self._decoder.feed(chunk):
                yield from self._events(event.data)
                if self.done:
                    return
        except (EventTooLargeError, ValidationError) as error:
            raise self._unreadable("a part of the stream does not fit") from error

    def truncated(self, failure: Failure | None = None) -> StreamTruncatedError:
        """The error for a body that ended, or failed, before the end of the stream."""
        reason = failure.message if failure else "the stream ended without its last event"
        error = StreamTruncatedError(reason, self._reply.status, headers=self._reply.headers, request_id=self._id)
        error.choices = self._fold.choices()
        return error

    def _events(self, data: str) -> list[StreamedCompletionsResult]:
        if data == _END:
            self.done = True
            return [self._complete()]
        value = self._parsed(data)
        if isinstance(choices := value.get("choices"), list) and "event" not in value:
            if usage := value.get("usage"):
                self._usage = _USAGE.validate_python(usage)
            return [piece for choice in choices if (piece := self._chunk(choice)) is not None]
        if value.get("event") == "token_sampled":
            return [self._sampled(value)]
        if value.get("event") == "complete":
            self.done = True
            return [_RESULT.validate_python({"data": value})]
        if value.get("error") is not None:
            raise self._reported(value, data)
        raise self._unreadable("an event of the stream is of no known kind")

    def _chunk(self, choice: object) -> StreamedCompletionsResult | None:
        """One choice of a second-generation chunk: a piece, the end of the choice, or both."""
        if not isinstance(choice, dict):
            raise self._unreadable("a choice of the stream is no object")
        get = choice.get
        text, token, piece = get("text"), get("token"), None
        if text or token is not None:
            piece = self._sampled({"event": "token_sampled", **{name: get(name) for name in _OF_A_PIECE}})
        if (reason := get("finish_reason")) is not None:
            self._finish(get("index"), reason, get("seed"))
        return piece

    def _finish(self, index: object, reason: object, seed: object) -> None:
        if isinstance(index, int) and isinstance(reason, str) and reason != "null":
            self._fold.finish(index, reason, seed if isinstance(seed, int) else None)

    def _sampled(self, piece: object) -> StreamedCompletionsResult:
        result: StreamedCompletionsResult = _RESULT.validate_python({"data": piece})
        if isinstance(data := result.data, StreamedCompletionsTokenSampled):
            logits = data.output_logits.raw() if data.output_logits else None
            self._fold.token(data.index, data.text, data.token, data.logprobs, logits)
        return result

    def _complete(self) -> StreamedCompletionsResult:
        end = StreamedCompletionsTokenComplete(choices=self._fold.choices(), usage=self._usage)
        return StreamedCompletionsResult(data=end)

    def _parsed(self, data: str) -> dict[str, object]:
        try:
            value = from_json(data)
        except ValueError as error:
            raise self._unreadable("an event of the stream is not JSON") from error
        if not isinstance(value, dict):
            raise self._unreadable("an event of the stream is no object")
        return value

    def _reported(self, failed: object, data: str) -> APIStreamError:
        complaint = complaint_in(failed)
        error = APIStreamError(
            complaint.message or "the endpoint failed while it streamed",
            self._reply.status,
            data,
            self._reply.raw,
            headers=self._reply.headers,
            request_id=complaint.request_id or self._id,
            type=complaint.type,
            field=complaint.field,
        )
        error.choices = self._fold.choices()
        return error

    def _unreadable(self, message: str) -> InvalidResponseError:
        return InvalidResponseError(
            message, self._reply.status, raw_response=self._reply.raw, headers=self._reply.headers, request_id=self._id
        )

    @property
    def _id(self) -> str | None:
        return self._reply.headers.get("x-request-id")
