"""A scripted completion: the same one answers `complete` and `stream`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict, Unpack

from friendli.models.response import CompletionsResult, CompletionsUsage
from friendli.testing.choices import Choice, choice, choice_of
from friendli.testing.delivery import Delivery, check_ending, check_generation, paced
from friendli.testing.encoding import Spoken, first_events, json_of, second_events
from friendli.testing.replies import Failure, Reply, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from friendli._transport.exchange import Answer, Ending
    from friendli.models.response import CompletionsLogprobs
    from friendli.testing.asked import Request
    from friendli.testing.delivery import Generation, Headers, Style


class ChoiceOptions(TypedDict, total=False):
    """What can be said of the only choice of a completion; see `choice`."""

    finish_reason: str | None
    """Why it ended: "stop" unless given."""
    seed: int | None
    """Left out: the request's, else 0."""
    tokens: Sequence[int] | None
    """The ids of its tokens. Left out: 1, 2, ..."""
    logprobs: CompletionsLogprobs | Mapping[str, object] | None
    """Lists with one entry per token."""


@dataclass(frozen=True, kw_only=True)
class Completion(Reply):
    """Text; see `completion`. `result` is what to say where a test gave a result whole."""

    choices: tuple[Choice, ...]
    result: CompletionsResult | None
    usage: CompletionsUsage | None
    extra: Mapping[str, object]
    then: Ending | Failure | None
    generation: Generation | None

    def answer(self, request: Request, style: Style) -> Answer:
        generation = self.generation or style.generation
        spoken = Spoken.of(self.choices, self.result, self.usage, self.extra, request)
        if request.stream:
            return self._streamed(spoken, generation, request, style)
        if isinstance(self.then, Failure):
            refusal = self.then.answer(request, style)
            return replace(refusal, delay=self.delivery.delay + refusal.delay)
        content = json_of(spoken, generation)
        headers = {"content-type": "application/json", "content-length": str(len(content))}
        if self.then is not None:
            content = content[: len(content) // 2]
        return self.delivery.answer(request, style, headers, [content], status=200, ending=self.then or "end")

    def _streamed(self, spoken: Spoken, generation: Generation, request: Request, style: Style) -> Answer:
        pieces, closing = (first_events if generation == 1 else second_events)(spoken)
        if isinstance(self.then, Failure):
            closing = [b"data: " + self.then.content(request) + b"\n\n"]
        elif self.then is not None:
            closing = []
        body = [*paced(pieces, self.delivery.pace), *closing]
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        ending = self.then if isinstance(self.then, str) else "end"
        return self.delivery.answer(request, style, headers, body, status=200, ending=ending)

    def __repr__(self) -> str:
        return f"completion({', '.join(repr(shortened(choice.text)) for choice in self.choices)})"


def completion(
    text: str | Sequence[str] | CompletionsResult | None = None,
    *,
    choices: Sequence[Choice] | None = None,
    usage: CompletionsUsage | Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
    then: Ending | Failure | None = None,
    generation: Generation | None = None,
    delay: float = 0.0,
    pace: float = 0.0,
    chunk_bytes: int | None = None,
    headers: Headers | None = None,
    times: int = 1,
    **of_the_choice: Unpack[ChoiceOptions],
) -> Reply:
    """Text, whole for `complete` and in pieces for `stream`.

    `text` is one choice: as a list it is streamed piece by piece, as a string word by word; `choices` are several; a
    `CompletionsResult` is said as it is. `finish_reason`, `seed`, `tokens` and `logprobs` are those of `choice`. The
    `usage`, unless given, counts one token per piece, and one per word of the prompt, or per token in its place.
    `extra` are further fields, or others for `id`, `object` and `model`.

    `then` is what comes after the pieces in place of the end: a `failure(...)` inside the stream, or "end" (nothing:
    the stream lacks its end), "close" (the connection closes), "reset" or "stall". A `complete` gets the failure as
    its answer, or half of its answer.

    `generation`: 1 answers as servers of the first generation do, 2 as today's. `delay`: seconds before the answer,
    `math.inf` for ever; `pace`: seconds between the pieces. `chunk_bytes`: the body arrives in chunks of this size,
    not event by event. `times`: for how many requests. Raises `ValueError`.
    """
    if (text is None) == (choices is None):
        raise ValueError("give the text or its choices, one of the two")
    if of_the_choice and (choices is not None or isinstance(text, CompletionsResult)):
        raise ValueError(f"{min(of_the_choice)} belongs to a choice: say it there")
    whole = text if isinstance(text, CompletionsResult) else None
    if whole is not None and (usage is not None or extra is not None):
        raise ValueError("a result has its own usage and further fields")
    if not isinstance(then, Failure | None):
        check_ending(then)
    check_generation(generation)
    return Completion(
        delivery=Delivery(delay=delay, pace=pace, chunk_bytes=chunk_bytes, headers=headers, times=times),
        choices=_choices(text, choices, of_the_choice),
        result=whole,
        usage=None if usage is None else CompletionsUsage.model_validate(usage),
        extra=MappingProxyType(dict(extra or {})),
        then=then,
        generation=generation,
    )


def _choices(
    text: str | Sequence[str] | CompletionsResult | None, choices: Sequence[Choice] | None, options: ChoiceOptions
) -> tuple[Choice, ...]:
    if choices is not None:
        return tuple(choices)
    if isinstance(text, CompletionsResult):
        return tuple(choice_of(told) for told in text.choices)
    return (choice(text or "", **options),)
