"""The reply to a completions request; both generations parse, fields we do not know are kept."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Lenient(BaseModel):
    """Base of what a server says: later servers may say more."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class CompletionsLogprobs(Lenient):
    """Four parallel lists, one entry per returned token. `top_logprobs` maps token text to log probability."""

    text_offset: list[int] | None = None
    token_logprobs: list[float | None] | None = None
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class CompletionsChoice(Lenient):
    """One generated text. `finish_reason` is "stop" or "length", None where the server does not say."""

    index: int
    text: str
    seed: int | None = None
    finish_reason: str | None = None
    tokens: list[int] = []
    logprobs: CompletionsLogprobs | None = None


class PromptTokensDetails(Lenient):
    """`cached_tokens` of the prompt were served from the prefix cache."""

    cached_tokens: int | None = None


class CompletionsUsage(Lenient):
    """Token counts of one request, all choices together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None


class CompletionsResult(Lenient):
    """What `complete` returns. `id`, `object` and `model` are None from a server of the first generation."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[CompletionsChoice]
    usage: CompletionsUsage
