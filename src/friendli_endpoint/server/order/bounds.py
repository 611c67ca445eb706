"""What depends on this endpoint and its model rather than on the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.vocabulary import MOST_LOGPROBS
from friendli_endpoint.errors import RequestError
from friendli_endpoint.text import phrases_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli.models import CompletionsBody, TokenSequence
    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.engine.vocabulary import ModelCard, Request
    from friendli_endpoint.server.deployment import Deployment

MOST_STOP_PHRASES: Final = 64
LONGEST_STOP_PHRASE: Final = 1000  # characters; text.phrases bounds all of them together
MOST_SEQUENCES: Final = 64  # of stop_tokens
MOST_BAD_WORDS: Final = 256  # bad_words and bad_word_tokens, each
LONGEST_SEQUENCE: Final = 64  # tokens of one bad word or of one sequence of stop_tokens
MOST_EOS_TOKENS: Final = 64
MOST_LOGITS: Final = 2 * 2**20  # values kept for one reply: 8 MiB, a third more in JSON
MOST_ALTERNATIVES: Final = 2**19  # log-probabilities kept for one reply: some 10 MB of JSON
MOST_CANDIDATES: Final = 512  # drawn in one step of a beam search


def check_bounds(asked: CompletionsBody, deployment: Deployment, limits: ServerSettings) -> None:
    """Raises `RequestError` for the first value that this endpoint does not take."""
    vocab_size = deployment.engine.card.vocab_size
    _check_decoder_only(asked)
    if asked.top_k and asked.top_k > vocab_size:
        raise RequestError(f"top_k should be at most the vocabulary's size, {vocab_size}.", field="top_k")
    if asked.logprobs is not None and asked.logprobs > MOST_LOGPROBS:
        raise RequestError(f"logprobs should be at most {MOST_LOGPROBS}.", field="logprobs")
    _check_tokens("tokens", asked.tokens or (), vocab_size)
    _check_tokens("forced_output_tokens", asked.forced_output_tokens or (), vocab_size)
    _check_tokens("eos_token", asked.eos_token or (), vocab_size)
    if len(asked.eos_token or ()) > MOST_EOS_TOKENS:
        raise RequestError(f"eos_token takes at most {MOST_EOS_TOKENS} ids.", field="eos_token")
    _check_sequences("stop_tokens", asked.stop_tokens or (), MOST_SEQUENCES, vocab_size)
    _check_sequences("bad_word_tokens", asked.bad_word_tokens or (), MOST_BAD_WORDS, vocab_size)
    _check_phrases(asked)
    _check_choices(asked, limits)


def check_report(requests: Sequence[Request], card: ModelCard) -> None:
    """Refuse an order whose reply would be too large, all tokens together, if every output is as long as it may be.

    A search keeps what is told of the tokens of all its beams until it knows which is the best.
    """
    report = requests[0].report
    beams = requests[0].beams.width if requests[0].beams else 1
    rows = beams * sum(len(request.seeds) * request.max_tokens for request in requests)
    lower = "max_tokens, n, num_beams or the number of prompts"
    if report.logits and rows * card.vocab_size > MOST_LOGITS:
        raise RequestError(
            f"include_output_logits would keep {rows} rows of {card.vocab_size} values; at most "
            f"{MOST_LOGITS // card.vocab_size} rows can be kept for a reply: lower {lower}.",
            field="include_output_logits",
        )
    if report.logprobs is not None and rows * (1 + report.logprobs) > MOST_ALTERNATIVES:
        raise RequestError(
            f"logprobs {report.logprobs} would keep {1 + report.logprobs} values for each of up to {rows} tokens; "
            f"at most {MOST_ALTERNATIVES} values can be kept for a reply: lower logprobs, {lower}.",
            field="logprobs",
        )


def check_search(request: Request) -> None:
    """Refuse a beam search whose steps would hold up everybody, and one that could never end."""
    beams, controls, ends = request.beams, request.controls, len(set(request.eos_tokens))
    if beams is None:
        return
    candidates = max(2, 1 + ends) * beams.width
    if beams.kind == "NAIVE_SAMPLING" and candidates > MOST_CANDIDATES:
        raise RequestError(
            f"num_beams {beams.width} with {ends} ids of eos_token would draw {candidates} candidates a step; "
            f"NAIVE_SAMPLING takes at most {MOST_CANDIDATES}: lower num_beams, or give fewer eos_token.",
            field="num_beams",
        )
    if controls.grammar is not None and not ends:
        raise RequestError(
            "response_format with num_beams needs an end-of-sequence token, and this model names none: give eos_token.",
            field="eos_token",
        )


def _check_decoder_only(asked: CompletionsBody) -> None:
    fields = (
        ("encoder_repetition_penalty", asked.encoder_repetition_penalty, "repetition_penalty"),
        ("encoder_no_repeat_ngram", asked.encoder_no_repeat_ngram, "no_repeat_ngram"),
    )
    for field, value, instead in fields:
        if value is not None and value != 1:
            raise RequestError(
                f"{field} is for encoder-decoder models and this model is decoder-only; use {instead}, which covers "
                "the prompt, too.",
                field=field,
            )


def _check_tokens(field: str, tokens: Sequence[int], vocab_size: int) -> None:
    if tokens and max(tokens) >= vocab_size:
        place = next(place for place, token in enumerate(tokens) if token >= vocab_size)
        raise RequestError(
            f"{field}.{place} is {tokens[place]}; this model's token ids go from 0 to {vocab_size - 1}.",
            field=f"{field}.{place}",
        )


def _check_sequences(field: str, sequences: Sequence[TokenSequence], most: int, vocab_size: int) -> None:
    if len(sequences) > most or any(len(sequence.tokens) > LONGEST_SEQUENCE for sequence in sequences):
        raise RequestError(f"{field} takes at most {most} sequences of at most {LONGEST_SEQUENCE} tokens.", field=field)
    for place, sequence in enumerate(sequences):
        _check_tokens(f"{field}.{place}.tokens", sequence.tokens, vocab_size)


def _check_phrases(asked: CompletionsBody) -> None:
    stop = asked.stop or ()
    if len(stop) > MOST_STOP_PHRASES or any(len(phrase) > LONGEST_STOP_PHRASE for phrase in stop):
        raise RequestError(
            f"stop takes at most {MOST_STOP_PHRASES} phrases of at most {LONGEST_STOP_PHRASE} characters.", field="stop"
        )
    phrases_of(tuple(stop))  # checks their length together, and has them ready for the choices
    if len(asked.bad_words or ()) > MOST_BAD_WORDS:
        raise RequestError(f"bad_words takes at most {MOST_BAD_WORDS} phrases.", field="bad_words")


def _check_choices(asked: CompletionsBody, limits: ServerSettings) -> None:
    prompts = len(asked.prompt) if isinstance(asked.prompt, list) else 1
    n = asked.n or 1
    if prompts * n > limits.max_choices:
        raise RequestError(
            f"{prompts} prompts with n {n} make {prompts * n} choices; one request takes at most {limits.max_choices}.",
            field="n" if n > 1 else "prompt",
        )
