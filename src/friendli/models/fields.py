"""The request's fields once more, as the keywords of a call: editors complete them and show their meaning.

`CompletionsBody` is what checks them; a test holds that the two agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired, Required, TypeAlias, TypedDict

from friendli.models import request

Ids: TypeAlias = list[int] | tuple[int, ...]
Phrases: TypeAlias = list[str] | tuple[str, ...]


class TokenSequenceDict(TypedDict):
    """One phrase as token ids."""

    tokens: Ids


class StreamOptionsDict(TypedDict, total=False):
    """`include_usage` asks for a last chunk that carries the usage."""

    include_usage: bool | None


class ResponseFormatTextDict(TypedDict):
    """Free text, the default."""

    type: Literal["text"]
    schema: NotRequired[str | None]


class ResponseFormatJsonObjectDict(TypedDict):
    """Any JSON object, or one that fits `schema`: a JSON Schema as a string."""

    type: Literal["json_object"]
    schema: NotRequired[str | None]


class JsonSchemaDict(TypedDict):
    """Wraps the schema object."""

    schema: dict[str, object]


class ResponseFormatJsonSchemaDict(TypedDict):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchemaDict | request.JsonSchema


class ResponseFormatRegexDict(TypedDict):
    """Text that matches the pattern `schema`."""

    type: Literal["regex"]
    schema: str


TokenSequences: TypeAlias = Sequence[request.TokenSequence | TokenSequenceDict]
ResponseFormatDict: TypeAlias = (
    ResponseFormatTextDict | ResponseFormatJsonObjectDict | ResponseFormatJsonSchemaDict | ResponseFormatRegexDict
)


class CompletionsFields(TypedDict, total=False):
    """Every field of a completions request. None is the same as leaving the field out."""

    model: Required[str]
    """`endpoint-id`, or `endpoint-id:adapter-route`."""
    prompt: str | Phrases | None
    """The text to continue, or several texts. Either this or `tokens`."""
    tokens: Ids | None
    """The prompt as token ids."""

    max_tokens: int | None
    """Generate at most this many tokens. Excludes `max_total_tokens`."""
    max_total_tokens: int | None
    """At most this many tokens, prompt included."""
    min_tokens: int | None
    """Generate at least this many tokens (default 0). Excludes `min_total_tokens` and `response_format`."""
    min_total_tokens: int | None
    """At least this many tokens, prompt included."""
    n: int | None
    """How many independent choices to generate (default 1)."""

    temperature: float | None
    """Below 1 sharpens the distribution, above 1 flattens it; 0 takes the likeliest token (default 1)."""
    top_k: int | None
    """Sample from the k likeliest tokens only; 0 is off (default)."""
    top_p: float | None
    """Sample from the likeliest tokens that together reach this probability, (0, 1] (default 1)."""
    min_p: float | None
    """Drop tokens less likely than this share of the likeliest one, [0, 1] (default 0)."""
    xtc_threshold: float | None
    """Tokens at least this likely are top choices, [0, 1]; see `xtc_probability`."""
    xtc_probability: float | None
    """How often all top choices but the least likely are removed, per step, [0, 1] (default 0)."""
    seed: int | Ids | None
    """Makes sampling repeatable; a list gives one seed per choice."""

    frequency_penalty: float | None
    """Lowers tokens by how often they were generated, [-2, 2]."""
    presence_penalty: float | None
    """Lowers tokens that were generated at all, [-2, 2]."""
    repetition_penalty: float | None
    """Above 1 lowers tokens of prompt and output, positive (default 1)."""
    encoder_repetition_penalty: float | None
    """The same for the input of encoder-decoder models."""
    no_repeat_ngram: int | None
    """No n-gram of this size occurs twice; 1 is off (default)."""
    encoder_no_repeat_ngram: int | None
    """No n-gram of this size is taken from the input of encoder-decoder models; 1 is off (default)."""
    bad_words: Phrases | None
    """Phrases that must not be generated."""
    bad_word_tokens: TokenSequences | None
    """The same as token ids."""

    stop: Phrases | None
    """Phrases that end the generation; the phrase is not part of the result."""
    stop_tokens: TokenSequences | None
    """The same as token ids."""
    eos_token: Ids | None
    """Token ids that end the generation, in place of the model's own."""
    response_format: request.ResponseFormat | ResponseFormatDict | None
    """Force the output into JSON, a JSON schema or a pattern."""
    forced_output_tokens: Ids | None
    """Force exactly this output, to read its log probabilities."""

    token_index_to_replace: Ids | None
    """Positions of the prompt whose embeddings are replaced; with `embedding_to_replace`."""
    embedding_to_replace: list[float] | None
    """The replacing vectors, one after the other."""

    stream: bool | None
    """Set by `complete` and `stream` themselves."""
    stream_options: request.StreamOptions | StreamOptionsDict | None
    """`include_usage`: `stream` asks for it unless told otherwise."""
    logprobs: int | None
    """Report log probabilities, with this many alternatives per token."""
    include_output_logprobs: bool | None
    """First generation: report log probabilities."""
    include_output_logits: bool | None
    """First generation: report logits."""

    num_beams: int | None
    """Beam search with this many beams, 1 to 31."""
    beam_search_type: Literal["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"] | None
    """The kind of beam search (default DETERMINISTIC)."""
    length_penalty: float | None
    """Beam search: above 0 favours longer sequences (default 1)."""
    early_stopping: bool | None
    """Beam search: stop as soon as there are `num_beams` candidates (default false)."""
    beam_compat_pre_normalization: bool | None
    """Stochastic beam search: normalise before perturbing (default false)."""
    beam_compat_no_post_normalization: bool | None
    """Stochastic beam search: do not normalise afterwards; needs the one before (default false)."""
    timeout_microseconds: int | None
    """The endpoint gives up after this time, with status 429."""
