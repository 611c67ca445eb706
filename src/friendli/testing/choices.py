"""One choice of a scripted completion, as the pieces in which a stream sends it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from friendli.models.response import CompletionsLogprobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from friendli.models.response import CompletionsChoice

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")
_LISTS = tuple(CompletionsLogprobs.model_fields)


@dataclass(frozen=True)
class Piece:
    """One event of a stream: a text that may be empty, and what is said of its token."""

    text: str
    token: int | None
    logprobs: CompletionsLogprobs | None = field(default=None, repr=False)
    logits: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Choice:
    """Made by `choice`."""

    pieces: tuple[Piece, ...]
    finish_reason: str | None
    seed: int | None
    extra: Mapping[str, object]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def choice(
    text: str | Sequence[str],
    *,
    finish_reason: str | None = "stop",
    seed: int | None = None,
    tokens: Sequence[int] | None = None,
    logprobs: CompletionsLogprobs | Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Choice:
    """A choice, for `completion(choices=[...])`.

    A stream sends a `text` that is a list piece by piece, a string word by word: each word with the space before it.
    Each piece is one token. `tokens` are their ids (default: 1, 2, ...), the lists of `logprobs` have one entry each;
    where a string has more or fewer words than these, the last token has the rest, or the last tokens have no text.
    `seed` is the request's unless given, else 0. `extra` are further fields. Raises `ValueError`.
    """
    told = None if logprobs is None else CompletionsLogprobs.model_validate(logprobs)
    texts = _cut(text, _count(tokens, told), told) if isinstance(text, str) else _checked(text)
    ids = list(range(1, len(texts) + 1)) if tokens is None else list(tokens)
    _expect("tokens", ids, texts)
    return Choice(tuple(_pieces(texts, ids, told)), finish_reason, seed, MappingProxyType(dict(extra or {})))


def choice_of(told: CompletionsChoice) -> Choice:
    """What a result says of one choice."""
    count = _count(told.tokens or None, told.logprobs)
    texts = _cut(told.text, count, told.logprobs)
    ids: list[int | None] = [*told.tokens] or [None] * len(texts)
    _expect("tokens", ids, texts)
    rows = _rows(told.output_logits.raw(), told.output_logits.shape[0]) if told.output_logits else None
    pieces = _pieces(texts, ids, told.logprobs, rows)
    return Choice(tuple(pieces), told.finish_reason, told.seed, MappingProxyType(told.model_extra or {}))


def words(text: str) -> list[str]:
    """`text` cut before the space before each word; a token, as this package counts them."""
    return _WORD.findall(text)


def _count(tokens: Sequence[int] | None, logprobs: CompletionsLogprobs | None) -> int | None:
    """How many tokens are told of, None where nothing is."""
    told = [tokens, *(getattr(logprobs, name) for name in _LISTS if logprobs is not None)]
    return next((len(values) for values in told if values is not None), None)


def _cut(text: str, count: int | None, logprobs: CompletionsLogprobs | None) -> list[str]:
    """`text` in `count` parts: where `logprobs` say that tokens begin, else at words."""
    parts = words(text)
    if count is None or count == len(parts) == 0:
        return parts
    if count == 0:
        raise ValueError("tokens and logprobs should be left out, or have one entry per token of the text")
    offsets = logprobs.text_offset if logprobs else None
    if offsets and len(offsets) == count and offsets == sorted(offsets):
        return [text[begin:end] for begin, end in pairwise([0, *offsets[1:], len(text)])]
    cut = [*parts[: count - 1], "".join(parts[count - 1 :])]
    return cut + [""] * (count - len(cut))


def _checked(pieces: Sequence[str]) -> list[str]:
    for piece in pieces:
        if not isinstance(piece, str):
            raise TypeError(f"text should be a string or a list of strings, but holds {type(piece).__name__}")
    return list(pieces)


def _pieces(
    texts: Sequence[str],
    ids: Sequence[int | None],
    logprobs: CompletionsLogprobs | None,
    rows: Sequence[bytes] | None = None,
) -> Iterator[Piece]:
    for name in _LISTS if logprobs is not None else ():
        _expect(f"logprobs.{name}", getattr(logprobs, name), texts)
    _expect("output_logits", rows, texts)
    for number, (text, token) in enumerate(zip(texts, ids, strict=True)):
        yield Piece(text, token, _entry(logprobs, number), rows[number] if rows else None)


def _expect(name: str, values: Sequence[object] | None, texts: Sequence[str]) -> None:
    if values is not None and len(values) != len(texts):
        raise ValueError(f"{name} should have one entry per piece of the text, {len(texts)}, but has {len(values)}")


def _entry(logprobs: CompletionsLogprobs | None, number: int) -> CompletionsLogprobs | None:
    if logprobs is None:
        return None
    lists = {name: values for name in _LISTS if (values := getattr(logprobs, name)) is not None}
    return CompletionsLogprobs.model_validate({name: values[number : number + 1] for name, values in lists.items()})


def _rows(raw: bytes, count: int) -> list[bytes]:
    width = len(raw) // count
    return [raw[begin : begin + width] for begin in range(0, len(raw), width)]
