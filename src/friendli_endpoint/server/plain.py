"""The reply that is not streamed: the same chunks, folded as the SDK folds a stream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from friendli._fold import CompletionFold
from friendli.models import CompletionsResult, CompletionsUsage, PromptTokensDetails
from friendli_endpoint.server.chunks import Chunk, EndChunk, TokenChunk, UsageChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def fold(
    batches: AsyncGenerator[list[Chunk]], completion_id: str, model: str, *, logprobs: bool
) -> CompletionsResult:
    """The whole reply: what the SDK would make of the stream. `logprobs`: whether they were asked for."""
    folded = CompletionFold(logprobs=logprobs)
    usage = CompletionsUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    async for batch in batches:
        for chunk in batch:
            match chunk:
                case TokenChunk():
                    folded.token(chunk.index, chunk.text, chunk.token, chunk.logprobs, chunk.rows)
                case EndChunk(index=index, reason=reason, seed=seed):
                    folded.finish(index, reason, seed)
                case UsageChunk():
                    usage = _usage(chunk)
    return CompletionsResult(
        id=completion_id,
        object="text_completion",
        created=int(time.time()),
        model=model,
        choices=folded.choices(),
        usage=usage,
    )


def _usage(chunk: UsageChunk) -> CompletionsUsage:
    return CompletionsUsage(
        prompt_tokens=chunk.prompt_tokens,
        completion_tokens=chunk.completion_tokens,
        total_tokens=chunk.total_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=chunk.cached_tokens),
    )
