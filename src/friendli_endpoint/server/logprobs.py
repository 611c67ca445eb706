"""What the engine says of a token, as the reply's `logprobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from friendli_endpoint.engine.vocabulary import Scores
    from friendli_endpoint.text import Tokenizer


class Logprobs(Struct, frozen=True):
    """Four parallel lists, as they are on the wire: here of one token each.

    A token's `text_offset` is where its text begins in the choice's `text`, in characters; for one that only goes on
    with a character, where that character begins.
    """

    text_offset: list[int]
    token_logprobs: list[float | None]
    tokens: list[str]
    top_logprobs: list[dict[str, float]]


def logprobs_of(scores: Scores, token: int, offset: int, tokenizer: Tokenizer) -> Logprobs:
    """The entry of `token`. Of tokens that look the same, the more probable one is told; the chosen one always is."""
    name = tokenizer.display
    chosen = name(token)
    top: dict[str, float] = {}
    for other, logprob in scores.top:
        top.setdefault(name(other), logprob)
    top.setdefault(chosen, scores.logprob)
    return Logprobs([offset], [scores.logprob], [chosen], [top])
