"""What the controls have to know of a sequence: its tokens, counted and indexed as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.sampling.bad_words import BadWords
from friendli_endpoint.sampling.ngrams import Ngrams
from friendli_endpoint.sampling.penalties import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.engine.vocabulary import Request
    from friendli_endpoint.sampling.grammar import Matcher


class History:
    """The state that one sequence's controls need; what a control does not ask for is None and costs nothing."""

    def __init__(self, request: Request, matcher: Matcher | None) -> None:
        controls = request.controls
        self.matcher = matcher
        self.context = Counts() if controls.repetition_penalty != 1 else None
        """Prompt and output."""
        self.output = Counts() if controls.frequency_penalty or controls.presence_penalty else None
        self.ngrams = Ngrams(controls.no_repeat_ngram) if controls.no_repeat_ngram > 1 else None
        self.bad_words = BadWords(controls.bad_words) if controls.bad_words else None
        self._prompt = len(request.prompt)
        self._length = 0
        self._tail: list[int] = []

    @classmethod
    def of(cls, request: Request, matcher: Matcher | None = None) -> History | None:
        """An empty history, or None when the request's controls need none."""
        history = cls(request, matcher)
        needed = (matcher, history.context, history.output, history.ngrams, history.bad_words)
        return None if request.controls.forced or all(part is None for part in needed) else history

    def read(self, tokens: Sequence[int]) -> None:
        """Take in what is new of the sequence's tokens, which are given as a whole, prompt first."""
        new, written = tokens[self._length :], tokens[max(self._length, self._prompt) :]
        self._length = len(tokens)
        if self.context is not None:
            self.context.add(new)
        if self.ngrams is not None:
            self.ngrams.add(new)
        if self.output is not None:
            self.output.add(written)
        if self.matcher is not None:
            for token in written:
                self.matcher.push(token)
        if self.bad_words is not None and self.bad_words.reach:
            self._tail = [*self._tail, *new][-self.bad_words.reach :]

    def banned(self) -> list[int]:
        """The tokens that may not come next; what the grammar forbids comes on top."""
        found = self.ngrams.banned() if self.ngrams is not None else []
        return found + self.bad_words.banned(self._tail) if self.bad_words is not None else found

    def copy(self) -> History:
        """The same, to go on on its own."""
        copy = object.__new__(History)
        copy.matcher = None if self.matcher is None else self.matcher.copy()
        copy.context = None if self.context is None else self.context.copy()
        copy.output = None if self.output is None else self.output.copy()
        copy.ngrams = None if self.ngrams is None else self.ngrams.copy()
        copy.bad_words, copy._prompt = self.bad_words, self._prompt
        copy._length, copy._tail = self._length, self._tail
        return copy
