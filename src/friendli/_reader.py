"""Bytes of a stream -> events, from both shapes that are on the wire. Pure; the two stream classes share it.

The first generation sends `{"event": "token_sampled", ...}` and closes with `{"event": "complete", ...}`. The second
sends text-completion chunks with `choices`, then perhaps one with the usage, then `[DONE]`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic_core import from_json

from friendli._answers import complaint_in
from friendli._fold import CompletionFold
from friendli._sse import EventTooLargeError, SSEDecoder
from friendli.errors import APIStreamError, InvalidResponseError, SDKError, StreamTruncatedError
from friendli.models.response import CompletionsChoice, CompletionsLogits, CompletionsLogprobs, CompletionsUsage
from friendli.models.response import CompletionsResult as Result
from friendli.models.stream import (
    SAMPLED_FIELDS,
    StreamedCompletionsResult,
    StreamedCompletionsTokenComplete,
    StreamedCompletionsTokenSampled,
    keep,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from friendli._call import Failure, Reply
    from friendli._sse import ServerSentEvent
    from friendli._watch import Watch

_END = "[DONE]"
_OF_A_CHOICE = SAMPLED_FIELDS | {"finish_reason", "seed"}
_PLAIN = _OF_A_CHOICE - {"output_logits"}
_OF_A_CHUNK = frozenset({"event", "choices", "usage", "created"})  # the rest is said of the whole
_NO_EVENT: tuple[None] = (None,)
# Everything that what the endpoint sends can raise; a ValidationError is a ValueError, and so is what is no JSON.
_NOT_FITTING = (SDKError, ValueError, OverflowError)


class StreamReader:
    """Feed it the body as it comes; after each feed, `done` tells whether the end was seen.

    What goes wrong is told to `watch` before it is raised, and so is the end.
    """

    def __init__(self, reply: Reply, watch: Watch) -> None:
        self._reply = reply
        self._watch = watch
        self._decoder = SSEDecoder()
        self._fold = CompletionFold()
        self._usage: CompletionsUsage | None = None
        self._about: dict[str, object] = {}  # what the chunks say of the whole
        self._end: StreamedCompletionsTokenComplete | None = None
        self._made: list[StreamedCompletionsResult] = []  # of the event at hand
        self._error: SDKError | None = None
        self.done = False

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the call's begin to the first event; None before it."""
        return self._watch.time_to_first_token

    def feed(self, chunk: bytes) -> Iterator[StreamedCompletionsResult]:
        """The events that `chunk` completes; consume them all before feeding again.

        Raises `APIStreamError` for an error that the endpoint reports, `InvalidResponseError` for what cannot be read.
        """
        decoded = iter(self._decoder.feed(chunk))
        while (data := self._next(decoded)) is not None:
            try:
                events = self._events(data)
            except _NOT_FITTING as error:
                yield from self._made  # what the same chunk said before
                raise self._told(error, data) from error
            yield from events
            if self.done:
                self.closed()
                return

    def broken(self, failure: Failure | None = None) -> StreamTruncatedError:
        """The error for a body that ended, or failed, before the end of the stream."""
        return self._truncated(failure.message if failure else "the stream ended without its last event")

    def closed(self) -> None:
        """Nobody reads on."""
        self._watch.ended(self._result_for_hooks(), finished=self.done)

    def result(self) -> Result:
        """The whole, once everything is read; raises what the reading raised, or what is missing to a result."""
        end = self._whole()
        if end.usage is None:
            raise self._invalid("the endpoint sent no usage, which a result has; read the events instead")
        try:
            return Result.model_validate({**self._about, "choices": end.choices, "usage": end.usage})
        except ValueError as error:
            raise self._invalid("what the stream says of itself does not fit") from error

    def text(self) -> str:
        """The text of the first choice, once everything is read; raises what the reading raised."""
        return next((choice.text for choice in self._whole().choices if choice.index == 0), "")

    def _whole(self) -> StreamedCompletionsTokenComplete:
        if self._error is not None:
            raise self._error
        if self._end is None:
            raise self._truncated("the stream was closed before its end")
        return self._end

    def __del__(self) -> None:
        with suppress(Exception):  # of hooks; there is nobody to tell
            self.closed()

    def _next(self, decoded: Iterator[ServerSentEvent]) -> str | None:
        try:
            return next(decoded, _NO_EVENT)[0]
        except EventTooLargeError as error:
            raise self._failed(self._invalid(str(error))) from error

    def _told(self, error: Exception, data: str) -> SDKError:
        """The error for the caller, when the hooks have seen it."""
        if isinstance(error, SDKError):
            return self._failed(error)
        return self._failed(self._invalid("a part of the stream does not fit", data))

    def _events(self, data: str) -> Sequence[StreamedCompletionsResult]:
        """What an event says; raises `_NOT_FITTING`."""
        self._made = []
        if data == _END:
            return (self._complete(self._fold.choices(), self._usage),)
        if not data:  # some proxies' sign of life
            return ()
        value = from_json(data)
        if type(value) is not dict:
            raise self._invalid("an event of the stream is no object", data)
        if value.get("error") is not None:
            raise self._reported(value, data)
        if "event" not in value and type(choices := value.get("choices")) is list:
            return self._chunk(value, choices)
        match value.get("event"):
            case "token_sampled":
                return (self._sampled(value),)
            case "complete":
                return (self._closing(value),)
        if complaint_in(value).message is not None:
            raise self._reported(value, data)
        raise self._invalid("an event of the stream is of no known kind", data)

    def _chunk(self, value: dict[str, object], choices: list[dict[str, object]]) -> list[StreamedCompletionsResult]:
        """The pieces in a chunk of the second generation."""
        if usage := value.get("usage"):
            self._usage = CompletionsUsage.model_validate(usage)
        if not (choices and self._about):
            self._note(value)
        for choice in choices:
            if type(choice) is not dict:
                raise ValueError("a choice is no object")
            if choice.get("text") or choice.get("token") is not None or _has_tokens(choice.get("logprobs")):
                self._made.append(self._sampled(choice))
            if (reason := choice.get("finish_reason")) is not None:
                self._note(value)
                self._finish(choice, reason)
        return self._made

    def _note(self, value: dict[str, object]) -> None:
        """Keep what a chunk says of the whole."""
        self._about.update((name, said) for name, said in value.items() if said is not None and name not in _OF_A_CHUNK)

    def _finish(self, choice: dict[str, object], reason: object) -> None:
        index, seed = choice.get("index"), choice.get("seed")
        if isinstance(index, int) and isinstance(reason, str) and reason != "null":
            more = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE and value is not None}
            self._fold.finish(index, reason, seed if isinstance(seed, int) else None, more)

    def _sampled(self, piece: dict[str, object]) -> StreamedCompletionsResult:
        index, text, token = piece.get("index"), piece.get("text"), piece.get("token")
        if type(index) is not int or type(text) is not str or (token is not None and type(token) is not int):
            raise ValueError("index, text or token is of another type")
        data = StreamedCompletionsTokenSampled(index, text, token)
        if _PLAIN.issuperset(piece) and piece.get("logprobs") is None:
            self._fold.token(index, text, token)
        else:
            self._add(piece, data)
        if self._watch.time_to_first_token is None:
            self._watch.token()
        return StreamedCompletionsResult(data)

    def _add(self, piece: dict[str, object], data: StreamedCompletionsTokenSampled) -> None:
        """What few pieces have."""
        if (logprobs := piece.get("logprobs")) is not None:
            data.logprobs = CompletionsLogprobs.model_validate(logprobs)
        if (logits := piece.get("output_logits")) is not None:
            data.output_logits = CompletionsLogits.model_validate(logits)
        keep(data, {name: value for name, value in piece.items() if name not in _OF_A_CHOICE})
        rows = data.output_logits.raw_rows() if data.output_logits else ()
        self._fold.token(data.index, data.text, data.token, data.logprobs, rows)

    def _closing(self, value: dict[str, object]) -> StreamedCompletionsResult:
        """The last event of the first generation."""
        choices, usage = value.get("choices"), value.get("usage")
        if not isinstance(choices, list):
            raise ValueError("the last event has no choices")
        checked = [CompletionsChoice.model_validate(choice) for choice in choices]
        self._note(value)
        end = self._complete(checked, CompletionsUsage.model_validate(usage) if usage else None)
        keep(end.data, self._about)
        return end

    def _complete(self, choices: list[CompletionsChoice], usage: CompletionsUsage | None) -> StreamedCompletionsResult:
        if not choices:
            raise self._invalid("the stream ended without a choice")
        self.done = True
        self._end = StreamedCompletionsTokenComplete(choices, usage)
        return StreamedCompletionsResult(self._end)

    def _result_for_hooks(self) -> Result | None:
        wanted = self._watch.wants_result and self._end is not None and self._end.usage is not None
        return self.result() if wanted else None

    def _reported(self, failed: object, data: str) -> APIStreamError:
        complaint = complaint_in(failed)
        error = APIStreamError(
            complaint.message or "the endpoint failed while it streamed",
            self._reply.status,
            data,
            self._reply.raw(),
            headers=self._reply.headers,
            request_id=complaint.request_id or self._id,
            type=complaint.type,
            field=complaint.field,
        )
        error.choices = self._fold.choices()
        return error

    def _truncated(self, message: str) -> StreamTruncatedError:
        error = StreamTruncatedError(message, self._reply.status, headers=self._reply.headers, request_id=self._id)
        error.choices = self._fold.choices()
        self._failed(error)
        return error

    def _invalid(self, message: str, data: str = "") -> InvalidResponseError:
        error = InvalidResponseError(
            message,
            self._reply.status,
            data,
            self._reply.raw(),
            headers=self._reply.headers,
            request_id=self._id,
        )
        error.choices = self._fold.choices()
        return error

    def _failed(self, error: SDKError) -> SDKError:
        self._error = error
        self._watch.failed(error)
        return error

    @property
    def _id(self) -> str | None:
        return self._reply.headers.get("x-request-id")


def _has_tokens(logprobs: object) -> bool:
    """Half a character has no text yet, and some servers name no token either."""
    return isinstance(logprobs, dict) and bool(logprobs.get("tokens"))
