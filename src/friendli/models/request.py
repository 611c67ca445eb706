"""The request body of the completions operation, every field of both generations of the interface.

The client builds these before it sends, the endpoint validates with the same classes. A range here is the interface's;
limits that protect one endpoint (how many stop phrases, how large an `n`) are the endpoint's own.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from friendli.models import _types as t
from friendli.models._rules import check_rules


class _Strict(BaseModel):
    # Inputs stay out of error texts: they may be prompts.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True, serialize_by_alias=True
    )


class TokenSequence(_Strict):
    """One phrase as token ids."""

    tokens: Annotated[t.ListOf[t.TokenId], Field(min_length=1)]


class StreamOptions(_Strict):
    """`include_usage` asks for a last chunk that carries the usage."""

    include_usage: t.Flag | None = None


class ResponseFormatText(_Strict):
    """Free text, the default."""

    type: Literal["text"]
    schema_: t.Text | None = Field(default=None, alias="schema")


class ResponseFormatJsonObject(_Strict):
    """Any JSON object, or one that fits `schema`: a JSON Schema as a string (first generation)."""

    type: Literal["json_object"]
    schema_: t.Text | None = Field(default=None, alias="schema")


class JsonSchema(_Strict):
    """Wraps the schema object, as the second generation does."""

    schema_: dict[str, object] = Field(alias="schema")


class ResponseFormatJsonSchema(_Strict):
    """JSON that fits a schema (second generation)."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class ResponseFormatRegex(_Strict):
    """Text that matches the pattern `schema`."""

    type: Literal["regex"]
    schema_: t.Text = Field(alias="schema")


ResponseFormat: TypeAlias = Annotated[
    ResponseFormatText | ResponseFormatJsonObject | ResponseFormatJsonSchema | ResponseFormatRegex,
    Field(discriminator="type"),
]


class CompletionsBody(_Strict):
    """A completions request; None means "not set" and never goes on the wire.

    Exactly one of `prompt` and `tokens` is given. What the fields mean is written at `CompletionsFields`.
    Raises `pydantic.ValidationError`, whose `loc` begins with the offending field, also for rules across fields.
    """

    model: t.Phrase
    prompt: t.Text | Annotated[t.ListOf[t.Text], Field(min_length=1)] | None = Field(default=None, repr=False)
    tokens: Annotated[t.ListOf[t.TokenId], Field(min_length=1)] | None = Field(default=None, repr=False)

    max_tokens: t.PositiveCount | None = None
    max_total_tokens: t.PositiveCount | None = None
    min_tokens: t.Count | None = None
    min_total_tokens: t.Count | None = None
    n: t.PositiveCount | None = None

    temperature: t.NonNegative | None = None
    top_k: t.Count | None = None
    top_p: t.PositiveShare | None = None
    min_p: t.Share | None = None
    xtc_threshold: t.Share | None = None
    xtc_probability: t.Share | None = None
    seed: t.Seed | Annotated[t.ListOf[t.Seed], Field(min_length=1)] | None = None

    frequency_penalty: t.Penalty | None = None
    presence_penalty: t.Penalty | None = None
    repetition_penalty: t.Positive | None = None
    encoder_repetition_penalty: t.Positive | None = None
    no_repeat_ngram: t.PositiveCount | None = None
    encoder_no_repeat_ngram: t.PositiveCount | None = None
    bad_words: t.ListOf[t.Phrase] | None = None
    bad_word_tokens: t.ListOf[TokenSequence] | None = None

    stop: t.ListOf[t.Phrase] | None = None
    stop_tokens: t.ListOf[TokenSequence] | None = None
    eos_token: t.ListOf[t.TokenId] | None = None
    response_format: ResponseFormat | None = None
    forced_output_tokens: t.ListOf[t.TokenId] | None = Field(default=None, repr=False)

    token_index_to_replace: t.ListOf[t.Count] | None = None
    embedding_to_replace: t.ListOf[t.Number] | None = Field(default=None, repr=False)

    stream: t.Flag | None = None
    stream_options: StreamOptions | None = None
    logprobs: t.Count | None = None
    include_output_logprobs: t.Flag | None = None
    include_output_logits: t.Flag | None = None

    num_beams: Annotated[t.PositiveCount, Field(le=31)] | None = None
    beam_search_type: Literal["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"] | None = None
    length_penalty: t.Number | None = None
    early_stopping: t.Flag | None = None
    beam_compat_pre_normalization: t.Flag | None = None
    beam_compat_no_post_normalization: t.Flag | None = None
    timeout_microseconds: t.PositiveCount | None = None

    @model_validator(mode="after")
    def _across_fields(self) -> CompletionsBody:
        check_rules(self)
        return self


class DedicatedCompletionsCompleteBody(CompletionsBody):
    """The body of `complete`: `stream` is left out or false."""

    stream: Literal[False] | None = None


class DedicatedCompletionsStreamBody(CompletionsBody):
    """The body of `stream`: `stream` is true."""

    stream: Literal[True] = True
