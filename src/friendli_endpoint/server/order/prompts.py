"""The prompts of a body as tokens, and the vectors that stand in for some of them."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from friendli_endpoint.engine.vocabulary import Embeddings
from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from friendli.models import CompletionsBody
    from friendli_endpoint.server.deployment import Deployment


def prompts_of(asked: CompletionsBody, deployment: Deployment) -> Iterator[tuple[int, ...]]:
    """One at a time, so that what is wrong with the first saves the work for the others."""
    if asked.tokens is not None:
        yield tuple(asked.tokens)
        return
    for text in asked.prompt if isinstance(asked.prompt, list) else [asked.prompt or ""]:
        _check_length(text, deployment)
        prompt = tuple(deployment.tokenizer.encode(text))
        if not prompt:
            raise RequestError("prompt should not be empty: this model needs a token to begin with.", field="prompt")
        yield prompt


def _check_length(text: str, deployment: Deployment) -> None:
    """Refuse a text that cannot fit, however it is tokenized: that takes seconds for megabytes."""
    longest = deployment.engine.card.longest_sequence
    if len(text) <= longest:
        return
    size = len(text.encode())
    if size > longest * deployment.longest_token:
        raise RequestError(f"The prompt has {size} bytes, more than {longest} tokens can hold.", field="prompt")


def embeddings_of(asked: CompletionsBody, prompt_tokens: int, hidden_size: int) -> Embeddings | None:
    """The vectors that replace tokens of a prompt of `prompt_tokens`, by ascending position. Raises `RequestError`."""
    places, values = asked.token_index_to_replace or [], asked.embedding_to_replace or []
    if not places:
        return None
    _check_places(places, prompt_tokens)
    if len(values) != len(places) * hidden_size:
        raise RequestError(
            f"embedding_to_replace has {len(values)} numbers; {len(places)} positions in token_index_to_replace need "
            f"{len(places) * hidden_size}: {hidden_size} for each.",
            field="embedding_to_replace",
        )
    floats = array("f", values)
    if not all(map(math.isfinite, floats)):
        raise RequestError("embedding_to_replace has a number that no float32 holds.", field="embedding_to_replace")
    order = sorted(range(len(places)), key=places.__getitem__)
    vectors = [floats[row * hidden_size : (row + 1) * hidden_size].tobytes() for row in order]
    return Embeddings(tuple(places[row] for row in order), b"".join(vectors))


def _check_places(places: Sequence[int], prompt_tokens: int) -> None:
    if len(set(places)) < len(places):
        raise RequestError("token_index_to_replace names a position twice.", field="token_index_to_replace")
    if max(places) >= prompt_tokens:
        raise RequestError(
            f"token_index_to_replace has {max(places)}; the prompt's positions go from 0 to {prompt_tokens - 1}.",
            field="token_index_to_replace",
        )
