"""How many tokens an output may and must have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from friendli.models import CompletionsBody
    from friendli_endpoint.engine.vocabulary import ModelCard


def most_tokens(asked: CompletionsBody, prompt_tokens: int, card: ModelCard) -> int:
    """How many tokens a choice may have behind a prompt of `prompt_tokens`, so that everything fits the model and KV.

    Forced tokens are the whole output, so it is no longer than they are.
    """
    room = _room(asked, prompt_tokens, card)
    if asked.max_tokens is not None and asked.max_tokens > room:
        raise _too_long(asked, prompt_tokens, asked.max_tokens, room, card)
    _check_total(asked, prompt_tokens, room, card)
    forced = len(asked.forced_output_tokens or ())
    most = asked.max_tokens or (asked.max_total_tokens and asked.max_total_tokens - prompt_tokens)
    if forced > room and not most:
        raise RequestError(
            f"forced_output_tokens has {forced} tokens; behind {prompt_tokens} prompt tokens there is room for {room}.",
            field="forced_output_tokens",
        )
    return min(most or room, forced or room)


def fewest_tokens(asked: CompletionsBody, prompt_tokens: int, most: int) -> int:
    """How many tokens come before the output may end; `most` is how many it may have."""
    if asked.min_tokens:
        field, fewest = "min_tokens", asked.min_tokens
    else:
        field, fewest = "min_total_tokens", max(0, (asked.min_total_tokens or 0) - prompt_tokens)
    if fewest > most:
        raise RequestError(
            f"{field} asks for at least {fewest} tokens of output, but it may have at most {most} "
            "(max_tokens, max_total_tokens, forced_output_tokens, or the room behind the prompt); lower it.",
            field=field,
        )
    return fewest


def _room(asked: CompletionsBody, prompt_tokens: int, card: ModelCard) -> int:
    if prompt_tokens >= card.longest_sequence:
        raise RequestError(
            f"The prompt has {prompt_tokens} tokens; with at least one more it has to fit {card.longest_sequence}.",
            field="prompt" if asked.tokens is None else "tokens",
        )
    room = card.most_tokens(prompt_tokens, asked.num_beams or 1)
    if room <= 0:
        raise RequestError(
            f"num_beams {asked.num_beams} behind {prompt_tokens} prompt tokens leave no room for output in the KV "
            "cache; use fewer beams or a shorter prompt.",
            field="num_beams",
        )
    return room


def _too_long(asked: CompletionsBody, prompt_tokens: int, output: int, room: int, card: ModelCard) -> RequestError:
    if asked.num_beams is not None:
        return RequestError(
            f"max_tokens {output} with num_beams {asked.num_beams} does not fit: behind {prompt_tokens} prompt tokens "
            f"each beam has room for {room}; lower max_tokens or num_beams.",
            field="max_tokens",
        )
    return RequestError(
        f"{prompt_tokens} prompt tokens and max_tokens {output} make {prompt_tokens + output}; "
        f"together they have to fit {card.longest_sequence}.",
        field="max_tokens",
    )


def _check_total(asked: CompletionsBody, prompt_tokens: int, room: int, card: ModelCard) -> None:
    total = asked.max_total_tokens
    if total is not None and not prompt_tokens < total <= prompt_tokens + room:
        beams = f" with num_beams {asked.num_beams}" if room < card.longest_sequence - prompt_tokens else ""
        raise RequestError(
            f"max_total_tokens is {total}; it should be more than the prompt's {prompt_tokens} tokens "
            f"and at most {prompt_tokens + room}{beams}.",
            field="max_total_tokens",
        )
