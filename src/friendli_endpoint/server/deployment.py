"""What is served: a model behind an endpoint id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.text import Tokenizer


@dataclass(frozen=True)
class Deployment:
    """One endpoint: its id, the engine that continues its prompts, and the tokenizer that goes with the model."""

    id: str
    engine: Engine
    tokenizer: Tokenizer

    @cached_property
    def longest_token(self) -> int:
        """The most bytes that one token stands for. Looks at the whole vocabulary when first asked."""
        return max(len(self.tokenizer.token_bytes(token)) for token in range(self.tokenizer.vocab_size))

    def route(self, model: str) -> str | None:
        """The adapter that `model` (`<endpoint-id>` or `<endpoint-id>:<route>`) asks for, None for the base model.

        Raises `RequestError` 404 for an endpoint or an adapter that is not here.
        """
        endpoint_id, colon, route = model.partition(":")
        if endpoint_id != self.id:
            raise _unknown(f"There is no endpoint {_quoted(endpoint_id)}; this server has {self.id!r}.")
        if colon:
            raise _unknown(f"The endpoint {self.id!r} has no adapter {_quoted(route)}; known adapters: none.")
        return None


def _unknown(message: str) -> RequestError:
    return RequestError(message, field="model", status=404)


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")
