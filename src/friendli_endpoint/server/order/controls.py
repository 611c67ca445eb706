"""How a body says that tokens are chosen and told of, in the engine's words."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from friendli.models import ResponseFormatJsonObject, ResponseFormatJsonSchema, ResponseFormatRegex
from friendli_endpoint.engine.vocabulary import Beams, Controls, Grammar, Report
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.order.bounds import LONGEST_SEQUENCE
from friendli_endpoint.server.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from friendli.models import CompletionsBody, TokenSequence
    from friendli_endpoint.server.deployment import Deployment

_ANY_OBJECT = '{"type":"object"}'
_DEEPEST_SCHEMA = 64

# Fields that are called the same on both sides and mean the same.
_SAME = (
    *("temperature", "top_k", "top_p", "min_p", "xtc_threshold", "xtc_probability"),
    *("repetition_penalty", "frequency_penalty", "presence_penalty", "no_repeat_ngram"),
)


def controls_of(asked: CompletionsBody, deployment: Deployment) -> Callable[[int], Controls]:
    """The controls for a `min_tokens`, which hangs on the prompt. Raises `RequestError`."""
    given = {name: value for name in _SAME if (value := getattr(asked, name)) is not None}
    controls = Controls(
        **given,
        bad_words=(*_bad_words(asked, deployment), *sequences(asked.bad_word_tokens)),
        forced=tuple(asked.forced_output_tokens or ()),
        grammar=_grammar(asked),
    )
    return lambda min_tokens: msgspec.structs.replace(controls, min_tokens=min_tokens)


def sequences(given: Sequence[TokenSequence] | None) -> tuple[tuple[int, ...], ...]:
    """Token sequences as the engine takes them."""
    return tuple(tuple(sequence.tokens) for sequence in given or ())


def report_of(asked: CompletionsBody) -> Report:
    """What is told of each token. Raises `RequestError` for logits of an output without a bound."""
    logits = bool(asked.include_output_logits)
    if logits and not (asked.max_tokens or asked.max_total_tokens or asked.forced_output_tokens):
        raise RequestError("include_output_logits needs max_tokens: give a small one.", field="include_output_logits")
    logprobs = asked.logprobs
    if logprobs is None and asked.include_output_logprobs:
        logprobs = 0
    return Report(logprobs, logits)


def beams_of(asked: CompletionsBody) -> Beams | None:
    """The beam search that is asked for."""
    if asked.num_beams is None:
        return None
    return Beams(
        width=asked.num_beams,
        kind=asked.beam_search_type or "DETERMINISTIC",
        length_penalty=1.0 if asked.length_penalty is None else asked.length_penalty,
        early_stopping=bool(asked.early_stopping),
        pre_normalize=bool(asked.beam_compat_pre_normalization),
        post_normalize=not asked.beam_compat_no_post_normalization,
        stop_tokens=sequences(asked.stop_tokens),
    )


def _bad_words(asked: CompletionsBody, deployment: Deployment) -> list[tuple[int, ...]]:
    """Each phrase as the tokens that the tokenizer makes of it, exactly as it is written."""
    longest = LONGEST_SEQUENCE * deployment.longest_token if asked.bad_words else 0
    words = []
    for place, phrase in enumerate(asked.bad_words or ()):
        refused = partial(RequestError, field=f"bad_words.{place}")
        tokens = deployment.tokenizer.encode_part(phrase) if len(phrase.encode()) <= longest else None
        if tokens is None or len(tokens) > LONGEST_SEQUENCE:
            raise refused(f"bad_words.{place} is longer than {LONGEST_SEQUENCE} tokens.")
        if not tokens:
            raise refused(f"bad_words.{place} gives no token of this model.")
        words.append(tuple(tokens))
    return words


def _grammar(asked: CompletionsBody) -> Grammar | None:
    match asked.response_format:
        case ResponseFormatJsonObject(schema_=None):
            return Grammar("json_schema", _ANY_OBJECT)
        case ResponseFormatJsonObject(schema_=str(schema)):
            _check_schema(schema)
            return Grammar("json_schema", schema)
        case ResponseFormatJsonSchema(json_schema=wrapped):
            return Grammar("json_schema", json.dumps(wrapped.schema_))
        case ResponseFormatRegex(schema_=pattern):
            return Grammar("regex", pattern)
        case _:
            return None


def _check_schema(schema: str) -> None:
    try:
        parse_object(schema.encode(), max_depth=_DEEPEST_SCHEMA)
    except RequestError as error:
        said = str(error).replace("The body", "it")
        raise RequestError(
            f"response_format.schema should be a JSON Schema, an object, written as a string: {said}",
            field="response_format.schema",
        ) from None
