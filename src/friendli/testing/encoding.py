"""A completion as both generations of servers write it: one JSON object, or the events of a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

from friendli._fold import CompletionFold
from friendli.models.response import CompletionsChoice, CompletionsLogits, CompletionsResult, CompletionsUsage
from friendli.testing.choices import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import BaseModel

    from friendli.testing.asked import Request
    from friendli.testing.choices import Choice, Piece
    from friendli.testing.delivery import Generation

Events: TypeAlias = tuple[list[bytes], list[bytes]]

_DONE = b"data: [DONE]\n\n"
_SECOND_GENERATION = frozenset({"id", "object", "model"})


@dataclass(frozen=True)
class Spoken:
    """A completion as the answer to one request: its whole, and its pieces in the order of a stream."""

    result: CompletionsResult
    pieces: Sequence[tuple[int, Piece]]
    asks_for_usage: bool

    @classmethod
    def of(
        cls,
        choices: Sequence[Choice],
        result: CompletionsResult | None,
        usage: CompletionsUsage | None,
        extra: Mapping[str, object],
        request: Request,
    ) -> Spoken:
        """What `choices` are for `request`, or `result`, where it is given."""
        whole = result or _result(choices, usage or _usage(choices, request), extra, request)
        rounds = zip_longest(*(choice.pieces for choice in choices))
        indexes = [choice.index for choice in whole.choices]
        pieces = [(indexes[at], piece) for turn in rounds for at, piece in enumerate(turn) if piece is not None]
        return cls(whole, pieces, _asks_for_usage(request))


def json_of(spoken: Spoken, generation: Generation) -> bytes:
    """The answer to `complete`."""
    if generation == 2:
        return _dumped(_said(spoken.result))
    whole = {name: value for name, value in _said(spoken.result).items() if name not in _SECOND_GENERATION}
    return _dumped({**whole, "choices": _first_choices(spoken.result)})


def first_events(spoken: Spoken) -> Events:
    """The pieces, and the `complete` event that closes the stream."""
    pieces = [_event({"event": "token_sampled", **_piece(index, piece)}) for index, piece in spoken.pieces]
    more = {name: value for name, value in _said(spoken.result).items() if name not in _SECOND_GENERATION}
    return pieces, [_event({"event": "complete", **more, "choices": _first_choices(spoken.result)}), _DONE]


def second_events(spoken: Spoken) -> Events:
    """The pieces, and what closes the stream: the reason of each choice, the usage if it was asked for."""
    whole = _said(spoken.result)
    head = {name: value for name, value in whole.items() if name not in ("choices", "usage")} | {"created": 0}
    pieces = [
        _event({**head, "choices": [{"finish_reason": None, "logprobs": None, **_piece(index, piece)}]})
        for index, piece in spoken.pieces
    ]
    closing = [_event({**head, "choices": [_closing(choice)]}) for choice in spoken.result.choices]
    usage = [_event({**head, "choices": [], "usage": whole["usage"]})] if spoken.asks_for_usage else []
    return pieces, [*closing, *usage, _DONE]


def _result(
    choices: Sequence[Choice], usage: CompletionsUsage, extra: Mapping[str, object], request: Request
) -> CompletionsResult:
    model = (request.model or "").partition(":")[0] or None
    named = {"id": f"cmpl-{request.number}", "object": "text_completion", "model": model}
    told = [_folded(index, choice, request) for index, choice in enumerate(choices)]
    return CompletionsResult.model_validate({**named, **extra, "choices": told, "usage": usage})


def _folded(index: int, choice: Choice, request: Request) -> CompletionsChoice:
    fold = CompletionFold()
    for piece in choice.pieces:
        fold.token(index, piece.text, piece.token, piece.logprobs, (piece.logits,) if piece.logits else ())
    fold.finish(index, choice.finish_reason, _seed(index, request) if choice.seed is None else choice.seed)
    return CompletionsChoice.model_validate({**fold.choices()[0].model_dump(), **choice.extra})


def _seed(index: int, request: Request) -> int:
    """What the request asks for, 0 if nothing; a list is for the choices of one prompt, one after the other."""
    asked = request.body.get("seed")
    seeds = [seed for seed in (asked if isinstance(asked, list) else [asked]) if isinstance(seed, int)]
    return seeds[index % len(seeds)] if seeds else 0


def _usage(choices: Sequence[Choice], request: Request) -> CompletionsUsage:
    prompt = sum(_prompt_tokens(request))
    pieces = sum(len(choice.pieces) for choice in choices)
    return CompletionsUsage(prompt_tokens=prompt, completion_tokens=pieces, total_tokens=prompt + pieces)


def _prompt_tokens(request: Request) -> Iterator[int]:
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt or []
    yield from (len(words(prompt)) for prompt in prompts)
    if isinstance(tokens := request.body.get("tokens"), list):
        yield len(tokens)


def _asks_for_usage(request: Request) -> bool:
    options = request.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _piece(index: int, piece: Piece) -> dict[str, object]:
    told: dict[str, object] = {"index": index, "text": piece.text, "token": piece.token}
    if piece.logprobs is not None:
        told["logprobs"] = _said(piece.logprobs)
    if piece.logits is not None:
        told["output_logits"] = _said(CompletionsLogits.of([piece.logits]))
    return told


def _closing(choice: CompletionsChoice) -> dict[str, object]:
    said = {name: value for name, value in _said(choice).items() if name not in ("tokens", "output_logits")}
    return {"finish_reason": None, **said, "text": "", "logprobs": None}


def _first_choices(result: CompletionsResult) -> list[dict[str, object]]:
    """The choices without what the first generation did not say."""
    return [
        {name: value for name, value in _said(choice).items() if name != "finish_reason" and value is not None}
        for choice in result.choices
    ]


def _said(model: BaseModel) -> dict[str, object]:
    return model.model_dump(mode="json", exclude_unset=True)


def _event(value: object) -> bytes:
    return b"data: " + _dumped(value) + b"\n\n"


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
