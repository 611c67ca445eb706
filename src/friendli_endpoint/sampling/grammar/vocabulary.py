"""The tokens of a model as bytes, which is all that a grammar has to know of a tokenizer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Vocabulary:
    """`tokens[i]` is what token i adds to the text, maybe a part of a character; b"" where it adds nothing.

    Several tokens may have the same bytes. A token that adds nothing, and one of `special` or `eos_tokens` (the
    model's own ends), is never a part of a grammar's text.
    """

    tokens: tuple[bytes, ...]
    special: frozenset[int] = frozenset()
    eos_tokens: tuple[int, ...] = ()

    def texts(self, size: int) -> list[bytes]:
        """What each of the ids 0 to size - 1 may contribute to an output: b"" for those that may not."""
        mute = self.special.union(self.eos_tokens)
        texts = [b"" if token in mute else text for token, text in enumerate(self.tokens[:size])]
        return texts + [b""] * (size - len(texts))
