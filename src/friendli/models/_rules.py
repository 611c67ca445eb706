"""The rules across fields that need no knowledge of the model.

A neutral value (`min_tokens` 0, `n` 1, `top_k` 0, `early_stopping` false, ...) counts as not set: clients of the first
generation send such values whether or not their caller asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli.models.request import CompletionsBody


@dataclass(frozen=True)
class Rule:
    """`field` takes the blame where `broken` holds; `advice` names the other, too, and says what would be right."""

    field: str
    broken: Callable[[CompletionsBody], bool]
    advice: str


def check_rules(body: CompletionsBody) -> None:
    """Raise one `ValidationError` with a line for each rule that `body` breaks, located at the rule's field."""
    lines = [
        InitErrorDetails(
            type=PydanticCustomError("rule", "{advice}", {"advice": rule.advice}), loc=(rule.field,), input=None
        )
        for rule in RULES
        if rule.broken(body)
    ]
    if lines:
        raise ValidationError.from_exception_data(type(body).__name__, lines, hide_input=True)


def _samples(body: CompletionsBody) -> bool:
    """Some argument asks for sampling other than from the unmodified distribution."""
    neutral = (
        body.temperature in (None, 1.0)
        and not body.top_k
        and body.top_p in (None, 1.0)
        and not body.min_p
        and not body.xtc_probability
    )
    return not neutral


def _is_beam(body: CompletionsBody) -> bool:
    return body.num_beams is not None


def _is_deterministic_beam(body: CompletionsBody) -> bool:
    return _is_beam(body) and body.beam_search_type in (None, "DETERMINISTIC")


def _is_sampling_beam(body: CompletionsBody) -> bool:
    return _is_beam(body) and not _is_deterministic_beam(body)


def _is_structured(body: CompletionsBody) -> bool:
    return body.response_format is not None and body.response_format.type != "text"


def _wants_usage_chunk(body: CompletionsBody) -> bool:
    return body.stream_options is not None and bool(body.stream_options.include_usage)


_PROMPTS: tuple[Rule, ...] = (
    Rule("prompt", lambda b: b.prompt is None and b.tokens is None, "one of prompt and tokens must be given"),
    Rule("tokens", lambda b: b.prompt is not None and b.tokens is not None, "give either prompt or tokens, not both"),
    Rule(
        "embedding_to_replace",
        lambda b: bool(b.embedding_to_replace) != bool(b.token_index_to_replace),
        "embedding_to_replace and token_index_to_replace must be given together",
    ),
    Rule(
        "token_index_to_replace",
        lambda b: bool(b.token_index_to_replace) and isinstance(b.prompt, list) and len(b.prompt) > 1,
        "token_index_to_replace needs a single prompt, not a list; send one request for each prompt",
    ),
)

_LENGTHS: tuple[Rule, ...] = (
    Rule(
        "max_total_tokens",
        lambda b: b.max_tokens is not None and b.max_total_tokens is not None,
        "give either max_tokens or max_total_tokens, not both",
    ),
    Rule(
        "min_total_tokens",
        lambda b: bool(b.min_tokens) and bool(b.min_total_tokens),
        "give either min_tokens or min_total_tokens, not both",
    ),
    Rule(
        "min_tokens",
        lambda b: b.max_tokens is not None and (b.min_tokens or 0) > b.max_tokens,
        "min_tokens must not be greater than max_tokens",
    ),
    Rule(
        "min_total_tokens",
        lambda b: b.max_total_tokens is not None and (b.min_total_tokens or 0) > b.max_total_tokens,
        "min_total_tokens must not be greater than max_total_tokens",
    ),
    Rule(
        "min_tokens",
        lambda b: bool(b.forced_output_tokens) and (b.min_tokens or 0) > len(b.forced_output_tokens or ()),
        "min_tokens must not be greater than the number of forced_output_tokens, which are the whole output",
    ),
)

_OUTPUT: tuple[Rule, ...] = (
    Rule(
        "seed",
        lambda b: isinstance(b.seed, list) and len(b.seed) != (b.n or 1),
        "a list of seeds must hold one seed per choice: as many as n",
    ),
    Rule(
        "min_tokens",
        lambda b: bool(b.min_tokens) and _is_structured(b),
        "min_tokens cannot be used together with response_format, whose grammar says where the text may end; leave "
        "out one of them",
    ),
    Rule(
        "min_total_tokens",
        lambda b: bool(b.min_total_tokens) and _is_structured(b),
        "min_total_tokens cannot be used together with response_format, whose grammar says where the text may end; "
        "leave out one of them",
    ),
    Rule(
        "forced_output_tokens",
        lambda b: bool(b.forced_output_tokens) and _is_structured(b),
        "forced_output_tokens cannot be used together with response_format: they are the whole output already; leave "
        "out one of them",
    ),
    Rule(
        "stream_options",
        lambda b: _wants_usage_chunk(b) and not b.stream,
        "stream_options.include_usage can only be used with stream: true",
    ),
)

_BEAMS: tuple[Rule, ...] = (
    Rule(
        "stream",
        lambda b: _is_beam(b) and bool(b.stream),
        "stream cannot be used with num_beams: the best sequence is known only at the end; leave out one of them",
    ),
    Rule(
        "n",
        lambda b: _is_beam(b) and (b.n or 1) > 1,
        "n must be 1 with num_beams: beam search gives its best sequence; send one request for each",
    ),
    Rule(
        "stop",
        lambda b: _is_beam(b) and bool(b.stop),
        "stop cannot be used with num_beams; use stop_tokens",
    ),
    Rule(
        "forced_output_tokens",
        lambda b: _is_beam(b) and bool(b.forced_output_tokens),
        "forced_output_tokens cannot be used with num_beams: nothing is left to search; leave out one of them",
    ),
    Rule(
        "num_beams",
        lambda b: _is_deterministic_beam(b) and _samples(b),
        "num_beams with the deterministic beam_search_type takes no sampling arguments (temperature, top_k, top_p, "
        "min_p, xtc_probability); leave them out or use NAIVE_SAMPLING or STOCHASTIC",
    ),
    Rule(
        "beam_search_type",
        lambda b: _is_sampling_beam(b) and (b.temperature == 0 or b.top_k == 1),
        "beam_search_type NAIVE_SAMPLING and STOCHASTIC have nothing to sample with temperature 0 or top_k 1; use "
        "DETERMINISTIC without them",
    ),
    Rule(
        "xtc_probability",
        lambda b: _is_sampling_beam(b) and bool(b.xtc_probability),
        "xtc_probability cannot be used with num_beams; leave out one of them",
    ),
    Rule(
        "length_penalty",
        lambda b: not _is_beam(b) and b.length_penalty not in (None, 1.0),
        "length_penalty can only be used with num_beams",
    ),
    Rule(
        "early_stopping",
        lambda b: not _is_beam(b) and bool(b.early_stopping),
        "early_stopping can only be used with num_beams",
    ),
    Rule(
        "beam_compat_no_post_normalization",
        lambda b: bool(b.beam_compat_no_post_normalization) and not b.beam_compat_pre_normalization,
        "beam_compat_no_post_normalization needs beam_compat_pre_normalization: true",
    ),
)

RULES: tuple[Rule, ...] = _PROMPTS + _LENGTHS + _OUTPUT + _BEAMS
