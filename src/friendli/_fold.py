"""Folds the pieces of a stream into choices. Pure: the client's streams and the endpoint's plain reply share it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Protocol

from friendli.models.response import CompletionsChoice, CompletionsLogits, CompletionsLogprobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LISTS = tuple(CompletionsLogprobs.model_fields)


class Logprobs(Protocol):
    """Four parallel lists about the tokens of a piece; see `CompletionsLogprobs`."""

    @property
    def text_offset(self) -> Sequence[int] | None: ...
    @property
    def token_logprobs(self) -> Sequence[float | None] | None: ...
    @property
    def tokens(self) -> Sequence[str] | None: ...
    @property
    def top_logprobs(self) -> Sequence[Mapping[str, float] | None] | None: ...


@dataclass(slots=True)
class _Choice:
    # A stream may have a hundred thousand pieces: these hold a few bytes for each.
    text: StringIO = field(default_factory=StringIO)
    tokens: array[int] = field(default_factory=lambda: array("q"))
    logprobs: dict[str, list[object]] = field(default_factory=dict)
    logits: list[bytes] = field(default_factory=list)
    reason: str | None = None
    seed: int | None = None
    more: dict[str, object] = field(default_factory=dict)


class CompletionFold:
    """Collects pieces, in order of arrival per choice; choices may interleave and appear at any time.

    `logprobs`: whether they were asked for, so that a choice without tokens has them, too: empty.
    """

    def __init__(self, *, logprobs: bool = False) -> None:
        self._choices: dict[int, _Choice] = {}
        self._asked = _LISTS if logprobs else ()

    def token(
        self, index: int, text: str, token: int | None, logprobs: Logprobs | None = None, logits: Sequence[bytes] = ()
    ) -> None:
        """Add one piece to the choice `index`; `token` is None where a piece has no token id.

        `logits`: its rows, as little-endian float32.
        """
        choice = self._choices.get(index) or self._open(index)
        if token is not None:
            choice.tokens.append(token)  # first: one that is no token id is refused here, and its text with it
        choice.text.write(text)
        if logprobs is not None:
            for name in _LISTS:
                if (more := getattr(logprobs, name)) is not None:
                    choice.logprobs.setdefault(name, []).extend(more)
        if logits:
            choice.logits.extend(logits)

    def finish(
        self, index: int, reason: str | None, seed: int | None, more: Mapping[str, object] | None = None
    ) -> None:
        """Close the choice `index`, which may have no pieces at all; `more` are its fields that are not known yet."""
        choice = self._choices.get(index) or self._open(index)
        choice.reason, choice.seed = reason, seed
        choice.more.update(more or {})

    def choices(self) -> list[CompletionsChoice]:
        """The choices so far, ordered by index."""
        return [_built(index, self._choices[index]) for index in sorted(self._choices)]

    def _open(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice(logprobs={name: [] for name in self._asked}))


def _built(index: int, choice: _Choice) -> CompletionsChoice:
    return CompletionsChoice(
        index=index,
        text=choice.text.getvalue(),
        seed=choice.seed,
        finish_reason=choice.reason,
        tokens=choice.tokens.tolist(),
        logprobs=_logprobs(choice.logprobs),
        output_logits=CompletionsLogits.of(choice.logits) if choice.logits else None,
        **choice.more,
    )


def _logprobs(lists: Mapping[str, Sequence[object]]) -> CompletionsLogprobs | None:
    """A list that no piece had is None; validating copies them, so that a choice can be read while the fold grows."""
    if not lists:
        return None
    return CompletionsLogprobs.model_validate(lists)
