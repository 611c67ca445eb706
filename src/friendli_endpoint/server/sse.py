"""Chunks as server-sent events, in the two shapes that clients know.

Today's shape is one text-completion object per token. The first generation of the official client (before 0.3.24)
reads objects with an `event` field instead, and gets those.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from friendli._fold import CompletionFold
from friendli_endpoint.server.chunks import Chunk, EndChunk, TokenChunk, UsageChunk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

    from friendli_endpoint.server.logprobs import Logprobs

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": waiting\n\n"

_FIRST_GENERATION = re.compile(r"speakeasy-sdk/python 0\.3\.(\d+)(?=[ .]|$)")
_FIRST_RELEASE_OF_TODAYS_SHAPE = 24


class EventShape(Protocol):
    """Turns one request's chunks into bytes of its stream; keeps the state that its shape needs."""

    def encode(self, chunks: Iterable[Chunk]) -> bytes:
        """The events for `chunks`, in order; empty when none of them shows in this shape."""


def wants_first_generation(user_agent: str) -> bool:
    """Whether the client is a release of the official one that reads only the first shape."""
    release = _FIRST_GENERATION.match(user_agent)
    return release is not None and int(release[1]) < _FIRST_RELEASE_OF_TODAYS_SHAPE


def event(data: bytes) -> bytes:
    """One event of one line; JSON has no raw line ends."""
    return b"data: " + data + b"\n\n"


class _Usage(Struct, omit_defaults=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | None = None


class _Row(Struct):
    """One token's logits; JSON has bytes in base64."""

    shape: tuple[int, int]
    dtype: str
    data: bytes


def _row(logits: bytes | None) -> _Row | UnsetType:
    return UNSET if logits is None else _Row((1, len(logits) // 4), "float32", logits)


class _TokenChoice(Struct):
    index: int
    text: str
    token: int
    finish_reason: None
    logprobs: Logprobs | None
    output_logits: _Row | UnsetType = UNSET


class _EndChoice(Struct):
    index: int
    text: str
    finish_reason: str
    logprobs: None
    seed: int


class _Event(Struct, kw_only=True, omit_defaults=True):
    id: str
    object: str
    model: str
    choices: tuple[_TokenChoice | _EndChoice, ...]
    usage: _Usage | None = None
    created: int


class TodaysShape:
    """One object per token; one with the reason that closes each choice; one with the usage if it was asked for."""

    def __init__(self, completion_id: str, model: str, created: int, *, include_usage: bool) -> None:
        self._id = completion_id
        self._model = model
        self._created = created
        self._include_usage = include_usage

    def encode(self, chunks: Iterable[Chunk]) -> bytes:
        return b"".join([self._event(chunk) for chunk in chunks])

    def _event(self, chunk: Chunk) -> bytes:
        match chunk:
            case TokenChunk():
                told = _TokenChoice(chunk.index, chunk.text, chunk.token, None, chunk.logprobs, _row(chunk.logits))
                return self._object((told,))
            case EndChunk(index=index, reason=reason, seed=seed):
                return self._object((_EndChoice(index, "", reason, None, seed),))
            case UsageChunk():
                return self._object((), _full_usage(chunk)) if self._include_usage else b""

    def _object(self, choices: tuple[_TokenChoice | _EndChoice, ...], usage: _Usage | None = None) -> bytes:
        return event(
            _encode(
                _Event(
                    id=self._id,
                    object="text_completion",
                    model=self._model,
                    choices=choices,
                    usage=usage,
                    created=self._created,
                )
            )
        )


def _full_usage(chunk: UsageChunk) -> _Usage:
    return _Usage(
        chunk.prompt_tokens, chunk.completion_tokens, chunk.total_tokens, {"cached_tokens": chunk.cached_tokens}
    )


class _TokenSampled(Struct, tag_field="event", tag="token_sampled"):
    index: int
    text: str
    token: int
    logprobs: Logprobs | UnsetType = UNSET
    output_logits: _Row | UnsetType = UNSET


class _FoldedChoice(Struct):
    index: int
    seed: int | None
    text: str
    tokens: list[int]
    logprobs: dict[str, object] | UnsetType = UNSET
    output_logits: dict[str, object] | UnsetType = UNSET


class _Complete(Struct, tag_field="event", tag="complete"):
    choices: list[_FoldedChoice]
    usage: _Usage


class FirstShape:
    """One `token_sampled` per token, then one `complete` with every choice in full and the usage.

    Its time had no `logprobs`, so they show only where they were asked for.
    """

    def __init__(self, *, logprobs: bool) -> None:
        self._fold = CompletionFold(logprobs=logprobs)

    def encode(self, chunks: Iterable[Chunk]) -> bytes:
        return b"".join([self._event(chunk) for chunk in chunks])

    def _event(self, chunk: Chunk) -> bytes:
        match chunk:
            case TokenChunk():
                self._fold.token(chunk.index, chunk.text, chunk.token, chunk.logprobs, chunk.rows)
                logprobs = UNSET if chunk.logprobs is None else chunk.logprobs
                return event(_encode(_TokenSampled(chunk.index, chunk.text, chunk.token, logprobs, _row(chunk.logits))))
            case EndChunk(index=index, reason=reason, seed=seed):
                self._fold.finish(index, reason, seed)
                return b""
            case UsageChunk():
                return event(_encode(_Complete(self._choices(), _bare_usage(chunk))))

    def _choices(self) -> list[_FoldedChoice]:
        return [
            _FoldedChoice(
                *(choice.index, choice.seed, choice.text, choice.tokens),
                *(_dumped(choice.logprobs), _dumped(choice.output_logits)),
            )
            for choice in self._fold.choices()
        ]


def _dumped(told: BaseModel | None) -> dict[str, object] | UnsetType:
    return UNSET if told is None else told.model_dump()


def _bare_usage(chunk: UsageChunk) -> _Usage:
    return _Usage(chunk.prompt_tokens, chunk.completion_tokens, chunk.total_tokens)


_encode = msgspec.json.Encoder().encode
