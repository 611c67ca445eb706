"""From the bytes of a body to what the engine is asked to do, or to a sentence that says what would be right."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from friendli.models import CompletionsBody
from friendli.models.problems import first_problem
from friendli_endpoint.engine.vocabulary import Controls, Request
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.server.deployment import Deployment

MOST_STOP_PHRASES = 8
LONGEST_STOP_PHRASE = 1000
MOST_EOS_TOKENS = 64

HONOURED = frozenset(
    {"model", "prompt", "tokens", "max_tokens", "max_total_tokens", "n", "stream", "stream_options"}
    | {"temperature", "top_k", "top_p", "seed", "stop", "eos_token"}
)

# What a field that is not honoured may say, because it asks for nothing: early clients send such values unasked.
NEUTRAL: Mapping[str, Sequence[object]] = {
    "min_tokens": (0,),
    "min_total_tokens": (0,),
    "min_p": (0.0,),
    "xtc_threshold": (0.0,),
    "xtc_probability": (0.0,),
    "frequency_penalty": (0.0,),
    "presence_penalty": (0.0,),
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "no_repeat_ngram": (1,),
    "encoder_no_repeat_ngram": (1,),
    "bad_words": ([],),
    "bad_word_tokens": ([],),
    "stop_tokens": ([],),
    "forced_output_tokens": ([],),
    "token_index_to_replace": ([],),
    "embedding_to_replace": ([],),
    "include_output_logprobs": (False,),
    "include_output_logits": (False,),
    "beam_search_type": ("DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"),  # says nothing without num_beams
    "length_penalty": (1.0,),
    "early_stopping": (False,),
    "beam_compat_pre_normalization": (False,),
    "beam_compat_no_post_normalization": (False,),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What one body asks for: a request to the engine per prompt, and how to answer."""

    requests: tuple[Request, ...]
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


def read_order(body: bytes, key: str, deployment: Deployment, limits: ServerSettings) -> Order:
    """What `body` asks of `deployment`, whose engine is ready. `key` makes the engine's request ids unique.

    Tokenizes, so it may take as long as the body is large: not for the event loop. Raises `RequestError`.
    """
    asked = _validated(parse_object(body, max_depth=limits.max_json_depth))
    adapter = deployment.route(asked.model)
    _refuse_what_is_not_honoured(asked)
    _check_bounds(asked, deployment, limits)
    controls = _controls(asked)
    eos_tokens = tuple(asked.eos_token or deployment.tokenizer.eos_tokens)
    requests = [
        Request(
            id=f"{key}-{number}",
            prompt=prompt,
            seeds=_seeds(asked),
            max_tokens=_most_tokens(asked, len(prompt), deployment.engine.card.longest_sequence),
            eos_tokens=eos_tokens,
            controls=controls,
            adapter=adapter,
        )
        for number, prompt in enumerate(_prompts(asked, deployment))
    ]
    include_usage = asked.stream_options is not None and bool(asked.stream_options.include_usage)
    return Order(tuple(requests), tuple(asked.stop or ()), bool(asked.stream), include_usage)


def _validated(members: dict[str, object]) -> CompletionsBody:
    try:
        return CompletionsBody.model_validate(members)
    except ValidationError as error:
        field, message = first_problem(error)
        raise RequestError(_sentence(message), field=field) from None


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?")) else f"{message}."


def _refuse_what_is_not_honoured(asked: CompletionsBody) -> None:
    for field in CompletionsBody.model_fields.keys() - HONOURED:
        value = getattr(asked, field)
        if value is None or value in NEUTRAL.get(field, ()):
            continue
        if asked.response_format is not None and field == "response_format" and asked.response_format.type == "text":
            continue
        raise RequestError(f"{field} is not supported by this endpoint yet; leave it out.", field=field)


def _check_bounds(asked: CompletionsBody, deployment: Deployment, limits: ServerSettings) -> None:
    """What depends on this endpoint and its model rather than on the interface."""
    vocab_size = deployment.engine.card.vocab_size
    if asked.top_k and asked.top_k > vocab_size:
        raise RequestError(f"top_k should be at most the vocabulary's size, {vocab_size}.", field="top_k")
    _check_tokens("tokens", asked.tokens or (), vocab_size)
    _check_tokens("eos_token", asked.eos_token or (), vocab_size)
    if len(asked.eos_token or ()) > MOST_EOS_TOKENS:
        raise RequestError(f"eos_token takes at most {MOST_EOS_TOKENS} ids.", field="eos_token")
    stop = asked.stop or ()
    if len(stop) > MOST_STOP_PHRASES or any(len(phrase) > LONGEST_STOP_PHRASE for phrase in stop):
        raise RequestError(
            f"stop takes at most {MOST_STOP_PHRASES} phrases of at most {LONGEST_STOP_PHRASE} characters.", field="stop"
        )
    prompts = len(asked.prompt) if isinstance(asked.prompt, list) else 1
    if prompts * (asked.n or 1) > limits.max_choices:
        field = "n" if (asked.n or 1) > 1 else "prompt"
        raise RequestError(
            f"{prompts} prompts with n {asked.n or 1} make {prompts * (asked.n or 1)} choices; "
            f"one request takes at most {limits.max_choices}.",
            field=field,
        )


def _check_tokens(field: str, tokens: Sequence[int], vocab_size: int) -> None:
    if tokens and max(tokens) >= vocab_size:
        place = next(place for place, token in enumerate(tokens) if token >= vocab_size)
        raise RequestError(
            f"{field}.{place} is {tokens[place]}; this model's token ids go from 0 to {vocab_size - 1}.",
            field=f"{field}.{place}",
        )


def _controls(asked: CompletionsBody) -> Controls:
    default = Controls()
    return Controls(
        temperature=default.temperature if asked.temperature is None else asked.temperature,
        top_k=default.top_k if asked.top_k is None else asked.top_k,
        top_p=default.top_p if asked.top_p is None else asked.top_p,
    )


def _prompts(asked: CompletionsBody, deployment: Deployment) -> Iterator[tuple[int, ...]]:
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


def _most_tokens(asked: CompletionsBody, prompt_tokens: int, longest: int) -> int:
    """How many tokens a choice may have behind a prompt of `prompt_tokens`, so that both fit `longest`."""
    if prompt_tokens >= longest:
        field = "prompt" if asked.tokens is None else "tokens"
        raise RequestError(
            f"The prompt has {prompt_tokens} tokens; with at least one more it has to fit {longest}.", field=field
        )
    if asked.max_tokens is not None and prompt_tokens + asked.max_tokens > longest:
        raise RequestError(
            f"{prompt_tokens} prompt tokens and max_tokens {asked.max_tokens} make "
            f"{prompt_tokens + asked.max_tokens}; together they have to fit {longest}.",
            field="max_tokens",
        )
    if asked.max_total_tokens is not None and not prompt_tokens < asked.max_total_tokens <= longest:
        raise RequestError(
            f"max_total_tokens is {asked.max_total_tokens}; it should be more than the prompt's {prompt_tokens} tokens "
            f"and at most {longest}.",
            field="max_total_tokens",
        )
    return asked.max_tokens or (asked.max_total_tokens or longest) - prompt_tokens


def _seeds(asked: CompletionsBody) -> tuple[int, ...]:
    """One seed per choice of a prompt. From one seed the choices count up, so that each can be had alone again."""
    match asked.seed:
        case None:
            return tuple(secrets.randbits(63) for _ in range(asked.n or 1))
        case int(first):
            return tuple((first + number) % 2**64 for number in range(asked.n or 1))
        case seeds:
            return tuple(seeds)
