"""The engine as the server sees it: requests in, token events out. Nothing here assumes a local process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from friendli_endpoint.engine.vocabulary import AdapterCard, ModelCard, Pulse, Request, TokenEvent


class Engine(Protocol):
    """Whatever continues prompts: our batching engine in a child process, a fake, or one that lives elsewhere."""

    @property
    def card(self) -> ModelCard:
        """The model's facts; valid once `start` has returned."""

    async def start(self) -> None:
        """Load the model, and after a `close` the adapters that were there; raises `ModelError` with a sentence."""

    def submit(self, request: Request) -> AsyncGenerator[TokenEvent]:
        """The request's events, in order, until each of its choices has finished or was aborted.

        Closing the generator early aborts the request and frees its place.
        Raises `EngineError` when the engine cannot finish it, `RequestError` when the request itself is to blame.
        """

    def abort(self, request_id: str, choice: int | None = None) -> None:
        """Stop a request, or one choice of it; its events end. Unknown ids are ignored."""

    async def add_adapter(self, key: str, path: str) -> AdapterCard:
        """Load the adapter at `path` (a PEFT folder or a GGUF file); once this returns, requests may name `key`.

        A key is never used for a second adapter. Raises `AdapterError` when it cannot be served, `EngineError` when the
        engine cannot be asked.
        """

    def drop_adapter(self, key: str) -> None:
        """Forget an adapter once no request uses it. Unknown keys are ignored."""

    @property
    def ready(self) -> bool:
        """Whether a request submitted now would be worked on."""

    @property
    def pulse(self) -> Pulse | None:
        """Where the engine stood when it last said so, about once a second; None before it has.

        Its counters never fall: they go on when an engine that died is replaced, and then nothing runs for a while.
        """

    @property
    def restarts(self) -> int:
        """How many times an engine that died was replaced by a new one."""

    async def close(self) -> None:
        """End every request and give everything back; safe to call twice. `start` begins again."""
