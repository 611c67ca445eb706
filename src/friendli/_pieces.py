"""What the events of a stream say, in both shapes that are on the wire. Pure: knows neither bytes nor answers.

The first generation sends `{"event": "token_sampled", ...}` and closes with `{"event": "complete", ...}`. The second
sends text-completion chunks with `choices`, then perhaps one with the usage, then `[DONE]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import from_json

from friendli._answers import complaint_in
from friendli._fold import CompletionFold
from friendli.models.response import CompletionsChoice, CompletionsLogits, CompletionsLogprobs, CompletionsUsage
from friendli.models.stream import (
    SAMPLED_FIELDS,
    StreamedCompletionsResult,
    StreamedCompletionsTokenComplete,
    StreamedCompletionsTokenSampled,
    keep,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli._answers import Complaint

_DONE = "[DONE]"
_OF_A_CHOICE = SAMPLED_FIELDS | {"finish_reason", "seed"}
_PLAIN = _OF_A_CHOICE - {"output_logits"}
_OF_A_CHUNK = frozenset({"event", "choices", "usage", "created"})  # the rest is said of the whole


class ReportedError(Exception):
    """The endpoint reports an error."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.message)
        self.complaint = complaint


class MisfitError(ValueError):
    """An event is not what either shape has."""


# All that what an endpoint sends can raise: no JSON and what the models refuse are ValueErrors, too.
NOT_FITTING = (ValueError, OverflowError)


class PieceReader:
    """Give it the data of one event after the other; `end` is the last one's, once it came."""

    def __init__(self) -> None:
        self.fold = CompletionFold()
        self.about: dict[str, object] = {}  # what the chunks say of the whole
        self.made: list[StreamedCompletionsResult] = []  # from the data at hand, so far
        self.end: StreamedCompletionsTokenComplete | None = None
        self._usage: CompletionsUsage | None = None

    def read(self, data: str) -> Sequence[StreamedCompletionsResult]:
        """The events in one event's data; raises `ReportedError`, or `NOT_FITTING`, with those before in `made`."""
        self.made = []
        if data == _DONE:
            return (self._complete(self.fold.choices(), self._usage),)
        if not data:  # some proxies' sign of life
            return ()
        value = from_json(data)
        if type(value) is not dict:
            raise MisfitError("an event of the stream is no object")
        if value.get("error") is not None:
            raise ReportedError(complaint_in(value))
        if "event" not in value and type(choices := value.get("choices")) is list:
            return self._chunk(value, choices)
        match value.get("event"):
            case "token_sampled":
                return (self._sampled(value),)
            case "complete":
                return (self._closing(value),)
        if complaint_in(value).message is not None:
            raise ReportedError(complaint_in(value))
        raise MisfitError("an event of the stream is of no known kind")

    def _chunk(self, value: dict[str, object], choices: list[dict[str, object]]) -> list[StreamedCompletionsResult]:
        """The pieces in a chunk of the second generation."""
        if usage := value.get("usage"):
            self._usage = CompletionsUsage.model_validate(usage)
        if not (choices and self.about):
            self._note(value)
        for choice in choices:
            if type(choice) is not dict:
                raise MisfitError("a choice of the stream is no object")
            if choice.get("text") or choice.get("token") is not None or _has_tokens(choice.get("logprobs")):
                self.made.append(self._sampled(choice))
            if (reason := choice.get("finish_reason")) is not None:
                self._note(value)
                self._finish(choice, reason)
        return self.made

    def _note(self, value: dict[str, object]) -> None:
        """Keep what a chunk says of the whole."""
        self.about.update((name, said) for name, said in value.items() if said is not None and name not in _OF_A_CHUNK)

    def _finish(self, choice: dict[str, object], reason: object) -> None:
        index, seed = choice.get("index"), choice.get("seed")
        if isinstance(index, int) and isinstance(reason, str) and reason != "null":  # which the interface lists, too
            more = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE and value is not None}
            self.fold.finish(index, reason, seed if isinstance(seed, int) else None, more)

    def _sampled(self, piece: dict[str, object]) -> StreamedCompletionsResult:
        index, text, token = piece.get("index"), piece.get("text"), piece.get("token")
        if type(index) is not int or type(text) is not str or (token is not None and type(token) is not int):
            raise MisfitError("a piece of the stream has no index and text that fit")
        data = StreamedCompletionsTokenSampled(index, text, token)
        if _PLAIN.issuperset(piece) and piece.get("logprobs") is None:
            self.fold.token(index, text, token)
        else:
            self._add(piece, data)
        return StreamedCompletionsResult(data)

    def _add(self, piece: dict[str, object], data: StreamedCompletionsTokenSampled) -> None:
        """What few pieces have."""
        if (logprobs := piece.get("logprobs")) is not None:
            data.logprobs = CompletionsLogprobs.model_validate(logprobs)
        if (logits := piece.get("output_logits")) is not None:
            data.output_logits = CompletionsLogits.model_validate(logits)
        keep(data, {name: value for name, value in piece.items() if name not in _OF_A_CHOICE})
        rows = data.output_logits.raw_rows() if data.output_logits else ()
        self.fold.token(data.index, data.text, data.token, data.logprobs, rows)

    def _closing(self, value: dict[str, object]) -> StreamedCompletionsResult:
        """The last event of the first generation."""
        choices, usage = value.get("choices"), value.get("usage")
        if not isinstance(choices, list):
            raise MisfitError("the last event of the stream has no choices")
        checked = [CompletionsChoice.model_validate(choice) for choice in choices]
        self._note(value)
        end = self._complete(checked, CompletionsUsage.model_validate(usage) if usage else None)
        keep(end.data, self.about)
        return end

    def _complete(self, choices: list[CompletionsChoice], usage: CompletionsUsage | None) -> StreamedCompletionsResult:
        if not choices:
            raise MisfitError("the stream ended without a choice")
        self.end = StreamedCompletionsTokenComplete(choices, usage)
        return StreamedCompletionsResult(self.end)


def _has_tokens(logprobs: object) -> bool:
    """Half a character has no text yet, and some servers name no token either."""
    return isinstance(logprobs, dict) and bool(logprobs.get("tokens"))
