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
    """At most this many tokens, prompt included. Excludes `max_tokens`."""
    min_tokens: int | None
    """Nothing ends the output before so many tokens (default 0). Excludes `min_total_tokens`, `response_format`."""
    min_total_tokens: int | None
    """The same with the prompt included: so many tokens less the prompt's, or 0. Excludes `min_tokens`."""
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
    """Tokens at least this likely are top choices, [0, 1] (default 0); see `xtc_probability`."""
    xtc_probability: float | None
    """How often all top choices but the least likely are removed, per step, [0, 1] (default 0)."""
    seed: int | Ids | None
    """Makes sampling repeatable; a list gives one seed per choice."""

    frequency_penalty: float | None
    """Lowers tokens by how often they were generated, [-2, 2] (default 0)."""
    presence_penalty: float | None
    """Lowers tokens that were generated at all, [-2, 2] (default 0)."""
    repetition_penalty: float | None
    """Above 1 lowers tokens of prompt and output, positive (default 1)."""
    encoder_repetition_penalty: float | None
    """The same for the input of encoder-decoder models; others take only 1, `repetition_penalty` covers the prompt."""
    no_repeat_ngram: int | None
    """No n-gram of this size occurs twice in prompt and output; 1 is off (default)."""
    encoder_no_repeat_ngram: int | None
    """The same for the input of encoder-decoder models; others take only 1, `no_repeat_ngram` covers the prompt."""
    bad_words: Phrases | None
    """Phrases that are not generated: as the tokens that the tokenizer makes of each, exactly as written."""
    bad_word_tokens: TokenSequences | None
    """The same as token ids."""

    stop: Phrases | None
    """Phrases that end the output; the phrase is not part of the result. Not with `num_beams`."""
    stop_tokens: TokenSequences | None
    """The same as token ids; a beam is complete when it generates one."""
    eos_token: Ids | None
    """Token ids that end the output, in place of the model's own; they are not part of the result."""
    response_format: request.ResponseFormat | ResponseFormatDict | None
    """Force the output into JSON, a JSON schema or a pattern; it may be cut by `max_tokens`."""
    forced_output_tokens: Ids | None
    """The whole output, whatever the model would say: to read its log probabilities, with `logprobs`."""

    token_index_to_replace: Ids | None
    """Positions of the prompt's tokens, from 0, whose embeddings are replaced; with `embedding_to_replace`."""
    embedding_to_replace: list[float] | None
    """The replacing vectors, one after the other, in the order of `token_index_to_replace`."""

    stream: bool | None
    """Set by `complete` and `stream` themselves."""
    stream_options: request.StreamOptions | StreamOptionsDict | None
    """`include_usage`: `stream` asks for it unless told otherwise."""
    logprobs: int | None
    """Report each token's log probability and those of this many alternatives, 0 to 64."""
    include_output_logprobs: bool | None
    """First generation: the same as `logprobs` 0."""
    include_output_logits: bool | None
    """First generation: report each token's logits, in `output_logits`; needs a small `max_tokens`."""

    num_beams: int | None
    """Beam search with this many beams, 1 to 31; gives the best sequence. Not with `stream`, `n` or `stop`."""
    beam_search_type: Literal["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"] | None
    """The kind of beam search (default DETERMINISTIC, which takes no sampling arguments); needs `num_beams`."""
    length_penalty: float | None
    """Beam search: above 0 favours longer sequences (default 1)."""
    early_stopping: bool | None
    """Beam search: stop as soon as there are `num_beams` candidates (default false)."""
    beam_compat_pre_normalization: bool | None
    """Beam search: penalties and bans see log probabilities instead of logits (default false)."""
    beam_compat_no_post_normalization: bool | None
    """Beam search: what they leave is not normalised again; needs the one before (default false)."""
    timeout_microseconds: int | None
    """The endpoint gives up after this time, with status 429 and the error type `timeout`."""
