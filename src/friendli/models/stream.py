"""What iterating over a stream yields, whichever shape is on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from friendli.models.response import (
    CompletionsChoice,
    CompletionsLogits,
    CompletionsLogprobs,
    CompletionsUsage,
    Lenient,
    is_absent,
)


class StreamedCompletionsTokenSampled(Lenient):
    """One piece of the choice `index`: usually one token; `token` is None where the server does not say.

    `logprobs` and `output_logits` are of this piece alone, and there if they were asked for.
    """

    event: Literal["token_sampled"] = "token_sampled"
    index: int
    text: str
    token: int | None = None
    logprobs: CompletionsLogprobs | None = None
    output_logits: CompletionsLogits | None = Field(default=None, exclude_if=is_absent)


class StreamedCompletionsTokenComplete(Lenient):
    """The end, once and last: the full choices; `usage` is None only if the caller switched it off."""

    event: Literal["complete"] = "complete"
    choices: list[CompletionsChoice]
    usage: CompletionsUsage | None = None


class StreamedCompletionsResult(Lenient):
    """One event of a stream; `data.event` tells which."""

    data: Annotated[StreamedCompletionsTokenSampled | StreamedCompletionsTokenComplete, Field(discriminator="event")]
