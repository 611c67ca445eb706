"""The wire contract as models: what goes in, what comes out. The endpoint validates with the same classes."""

from __future__ import annotations

from friendli.errors import SDKError
from friendli.models.fields import CompletionsFields
from friendli.models.request import (
    CompletionsBody,
    DedicatedCompletionsCompleteBody,
    DedicatedCompletionsStreamBody,
    JsonSchema,
    ResponseFormat,
    ResponseFormatJsonObject,
    ResponseFormatJsonSchema,
    ResponseFormatRegex,
    ResponseFormatText,
    StreamOptions,
    TokenSequence,
)
from friendli.models.response import (
    CompletionsChoice,
    CompletionsLogits,
    CompletionsLogprobs,
    CompletionsResult,
    CompletionsUsage,
    PromptTokensDetails,
)
from friendli.models.stream import (
    StreamedCompletionsResult,
    StreamedCompletionsTokenComplete,
    StreamedCompletionsTokenSampled,
)

__all__ = [
    "CompletionsBody",
    "CompletionsChoice",
    "CompletionsFields",
    "CompletionsLogits",
    "CompletionsLogprobs",
    "CompletionsResult",
    "CompletionsUsage",
    "DedicatedCompletionsCompleteBody",
    "DedicatedCompletionsStreamBody",
    "JsonSchema",
    "PromptTokensDetails",
    "ResponseFormat",
    "ResponseFormatJsonObject",
    "ResponseFormatJsonSchema",
    "ResponseFormatRegex",
    "ResponseFormatText",
    "SDKError",
    "StreamOptions",
    "StreamedCompletionsResult",
    "StreamedCompletionsTokenComplete",
    "StreamedCompletionsTokenSampled",
    "TokenSequence",
]
