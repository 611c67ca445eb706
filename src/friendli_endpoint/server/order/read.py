"""One body as an order: parsed, checked, tokenized, and said in the engine's words."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct
from pydantic import ValidationError

from friendli.models import CompletionsBody
from friendli.models.problems import first_problem
from friendli_endpoint.engine.vocabulary import Request
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.order.bounds import check_bounds, check_report, check_search
from friendli_endpoint.server.order.controls import beams_of, controls_of, report_of, sequences
from friendli_endpoint.server.order.lengths import fewest_tokens, most_tokens
from friendli_endpoint.server.order.prompts import embeddings_of, prompts_of
from friendli_endpoint.server.strict_json import parse_object
from friendli_endpoint.text import sequences_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.server.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Order:
    """What one body asks for: a request to the engine per prompt, and where its texts end.

    `stop` and `stop_tokens` end a text here; those of a beam search are in its request.
    """

    requests: tuple[Request, ...]
    stop: tuple[str, ...]
    stop_tokens: tuple[tuple[int, ...], ...]

    @property
    def items(self) -> int:
        """How many choices it is answered with."""
        return sum(len(request.seeds) for request in self.requests)

    @property
    def rows(self) -> int:
        """How many sequences it makes the engine run at once."""
        return sum(request.beams.width if request.beams else len(request.seeds) for request in self.requests)


class Origin(Struct, frozen=True):
    """Where a body comes from: `key` makes the engine's request ids unique, `adapter` is the key of the one it names.

    Of different teams, none learns what another one has sent.
    """

    key: str
    team: str
    adapter: str | None


class Manner(Struct, frozen=True):
    """How an answer is to be sent; `logprobs` says whether they were asked for."""

    stream: bool
    include_usage: bool
    logprobs: bool
    timeout_seconds: float | None


def manner_of(asked: CompletionsBody) -> Manner:
    """What a body says about the sending alone."""
    timeout = asked.timeout_microseconds
    return Manner(
        stream=bool(asked.stream),
        include_usage=asked.stream_options is not None and bool(asked.stream_options.include_usage),
        logprobs=asked.logprobs is not None or bool(asked.include_output_logprobs),
        timeout_seconds=None if timeout is None else timeout / 1e6,
    )


def read_body(body: bytes, limits: ServerSettings) -> CompletionsBody:
    """`body`, as far as it can be judged without a model. May take as long as it is large: not for the event loop.

    Raises `RequestError`.
    """
    return _validated(parse_object(body, max_depth=limits.max_json_depth))


def make_order(asked: CompletionsBody, origin: Origin, deployment: Deployment, limits: ServerSettings) -> Order:
    """What `asked` means for `deployment`, whose engine is ready. Tokenizes: not for the event loop, either.

    Raises `RequestError`.
    """
    check_bounds(asked, deployment, limits)
    requests = tuple(_requests(asked, origin, deployment))
    check_search(requests[0])
    check_report(requests, deployment.engine.card)
    stop_tokens = () if asked.num_beams else sequences(asked.stop_tokens)
    sequences_of(stop_tokens)  # has them ready for the choices, which begin on the event loop
    return Order(
        requests=requests,
        stop=tuple(asked.stop or ()),
        stop_tokens=stop_tokens,
    )


def _validated(members: dict[str, object]) -> CompletionsBody:
    try:
        return CompletionsBody.model_validate(members)
    except ValidationError as error:
        field, message = first_problem(error)
        raise RequestError(_sentence(message), field=field) from None


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?")) else f"{message}."


def _requests(asked: CompletionsBody, origin: Origin, deployment: Deployment) -> Iterator[Request]:
    card = deployment.engine.card
    controls = controls_of(asked, deployment)
    # A tokenizer may name more tokens than the model has rows for.
    own_ends = [token for token in deployment.tokenizer.eos_tokens if token < card.vocab_size]
    for number, prompt in enumerate(prompts_of(asked, deployment)):
        most = most_tokens(asked, len(prompt), card)
        yield Request(
            id=f"{origin.key}-{number}",
            prompt=prompt,
            seeds=_seeds(asked),
            max_tokens=most,
            eos_tokens=tuple(asked.eos_token or own_ends),
            controls=controls(fewest_tokens(asked, len(prompt), most)),
            report=report_of(asked),
            beams=beams_of(asked),
            embeddings=embeddings_of(asked, len(prompt), card.hidden_size),
            adapter=origin.adapter,
            scope=origin.team,
        )


def _seeds(asked: CompletionsBody) -> tuple[int, ...]:
    """One seed per choice of a prompt. From one seed the choices count up, so that each can be had alone again."""
    match asked.seed:
        case None:
            return tuple(secrets.randbits(63) for _ in range(asked.n or 1))
        case int(first):
            return tuple((first + number) % 2**64 for number in range(asked.n or 1))
        case seeds:
            return tuple(seeds)
