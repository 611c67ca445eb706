"""Folds the pieces of a stream into choices. Pure: the client's streams and the endpoint's plain reply share it."""

from __future__ import annotations

from dataclasses import dataclass, field

from friendli.models.response import CompletionsChoice, CompletionsLogprobs


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    logprobs: CompletionsLogprobs | None = None
    reason: str | None = None
    seed: int | None = None


class CompletionFold:
    """Collects pieces, in order of arrival per choice; choices may interleave and appear at any time."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def token(self, index: int, text: str, token: int | None, logprobs: CompletionsLogprobs | None = None) -> None:
        """Add one piece to the choice `index`; `token` is None where a piece has no token id."""
        choice = self._choices.get(index) or self._open(index)
        choice.texts.append(text)
        if token is not None:
            choice.tokens.append(token)
        if logprobs is not None:
            choice.logprobs = _joined(choice.logprobs, logprobs)

    def finish(self, index: int, reason: str | None, seed: int | None) -> None:
        """Close the choice `index`, which may have no pieces at all."""
        choice = self._choices.get(index) or self._open(index)
        choice.reason, choice.seed = reason, seed

    def text(self, index: int = 0) -> str:
        """The text of one choice so far, "" for one that has not begun."""
        choice = self._choices.get(index)
        return "".join(choice.texts) if choice else ""

    def choices(self) -> list[CompletionsChoice]:
        """The choices so far, ordered by index."""
        return [_built(index, self._choices[index]) for index in sorted(self._choices)]

    def _open(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())


def _built(index: int, choice: _Choice) -> CompletionsChoice:
    return CompletionsChoice(
        index=index,
        text="".join(choice.texts),
        seed=choice.seed,
        finish_reason=choice.reason,
        tokens=list(choice.tokens),
        logprobs=choice.logprobs,
    )


def _joined(first: CompletionsLogprobs | None, more: CompletionsLogprobs) -> CompletionsLogprobs:
    """Extends `first` in place, so that folding n pieces costs n; the first piece is copied, not taken."""
    if first is None:
        return more.model_copy(deep=True)
    for name in CompletionsLogprobs.model_fields:
        have, new = getattr(first, name), getattr(more, name)
        if new:
            setattr(first, name, new) if have is None else have.extend(new)
    return first
