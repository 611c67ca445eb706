"""From the engine's events to what the client reads: the same chunks, behind both the stream and the plain reply."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from friendli_endpoint.engine.vocabulary import Finished, FinishReason, Prefilled, Request, Sampled, Scores, TokenEvent
from friendli_endpoint.server.logprobs import Logprobs, logprobs_of
from friendli_endpoint.text import ChoiceText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.text import Piece, Tokenizer


class TokenChunk(Struct, frozen=True):
    """One token of the choice `index` and the text that became safe to send with it, which may be empty.

    `logprobs` and `logits` (float32, the whole row) are there if they were asked for.
    """

    index: int
    text: str
    token: int
    logprobs: Logprobs | None = None
    logits: bytes | None = None

    @property
    def rows(self) -> tuple[bytes, ...]:
        """The logits as the rows of a piece: one, or none."""
        return () if self.logits is None else (self.logits,)


class EndChunk(Struct, frozen=True):
    """The choice `index` is complete."""

    index: int
    reason: FinishReason
    seed: int


class UsageChunk(Struct, frozen=True):
    """The last chunk: what the whole request used, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: UsageChunk) -> UsageChunk:
        return UsageChunk(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


Chunk: TypeAlias = TokenChunk | EndChunk | UsageChunk


@dataclass(slots=True)
class _Choice:
    index: int
    seed: int
    text: ChoiceText
    scores: deque[Scores] = field(default_factory=deque)
    """Of the tokens that `text` still holds, in their order."""
    generated: list[int] = field(default_factory=list)
    """All its tokens, those that `text` holds included."""
    length: int = 0
    """Characters given so far."""
    ended: bool = False


@dataclass(slots=True)
class Continuation:
    """What has become of one prompt's choices so far. Pure: events go in, chunks come out.

    `first` is the index of its first choice among those of all prompts.
    """

    request: Request
    first: int
    tokenizer: Tokenizer
    stop: tuple[str, ...] = ()
    stop_tokens: tuple[tuple[int, ...], ...] = ()
    prompt_tokens: int = 0
    """How much of the prompt has been read: nothing, or all of it."""
    completion_tokens: int = 0
    cached_tokens: int = 0
    _choices: list[_Choice] = field(init=False)

    def __post_init__(self) -> None:
        earliest = self.request.controls.min_tokens
        self._choices = [
            _Choice(self.first + number, seed, ChoiceText(self.tokenizer, self.stop, self.stop_tokens, earliest))
            for number, seed in enumerate(self.request.seeds)
        ]

    @property
    def ended(self) -> bool:
        return all(choice.ended for choice in self._choices)

    @property
    def over(self) -> list[int]:
        """The choices that have ended, by their number in the request."""
        return [number for number, choice in enumerate(self._choices) if choice.ended]

    def again(self) -> Request:
        """The request that makes an engine go on from here, whatever it has done before."""
        if self.request.beams is not None:  # a search reports everything at its end, or nothing
            return self.request
        return replace(self.request, generated=tuple(tuple(choice.generated) for choice in self._choices))

    def take(self, event: TokenEvent) -> list[Chunk]:
        """The chunks that `event` releases. What follows a choice's end is ignored: the engine cannot know yet."""
        match event:
            case Sampled(choice=number, token=token, scores=scores):
                choice = self._choices[number]
                return [] if choice.ended else self._sampled(choice, token, scores)
            case Finished(choice=number, reason=reason):
                choice = self._choices[number]
                return [] if choice.ended else self._end(choice, reason, choice.text.finish())
            case Prefilled(cached_tokens=cached):
                if not self.prompt_tokens:  # else it is read again, to go on
                    self.prompt_tokens, self.cached_tokens = len(self.request.prompt), cached
                return []

    def _sampled(self, choice: _Choice, token: int, scores: Scores | None) -> list[Chunk]:
        choice.generated.append(token)
        if scores is not None:
            choice.scores.append(scores)
        pieces = choice.text.push(token)
        if choice.text.stopped:
            return self._end(choice, "stop", pieces)
        return self._chunks(choice, pieces)

    def _end(self, choice: _Choice, reason: FinishReason, pieces: Sequence[Piece]) -> list[Chunk]:
        choice.ended = True
        return [*self._chunks(choice, pieces), EndChunk(choice.index, reason, choice.seed)]

    def _chunks(self, choice: _Choice, pieces: Sequence[Piece]) -> list[Chunk]:
        self.completion_tokens += len(pieces)
        if not choice.scores:
            return [TokenChunk(choice.index, piece.text, piece.token) for piece in pieces]
        return [self._scored(choice, piece, choice.scores.popleft()) for piece in pieces]

    def _scored(self, choice: _Choice, piece: Piece, scores: Scores) -> Chunk:
        told = None
        if self.request.report.logprobs is not None:
            told = logprobs_of(scores, piece.token, choice.length + piece.lead, self.tokenizer)
        choice.length += len(piece.text)
        return TokenChunk(choice.index, piece.text, piece.token, told, scores.logits)
