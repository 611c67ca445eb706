"""What is served: a model behind an endpoint id, and adapters of it behind routes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from friendli_endpoint import hub
from friendli_endpoint.config import EndpointSettings
from friendli_endpoint.server.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.server.routes import ConfiguredAdapter, Served
    from friendli_endpoint.text import Tokenizer


@dataclass(eq=False)
class Deployment:
    """One endpoint: its id, the engine that continues its prompts, and the tokenizer that goes with the model.

    `adapters` are there from the start, `resolve_adapter` finds the files of those that are added later; there are at
    most `max_adapters`.
    """

    id: str
    engine: Engine
    tokenizer: Tokenizer
    adapters: InitVar[Sequence[ConfiguredAdapter]] = ()
    max_adapters: InitVar[int] = EndpointSettings().max_adapters
    resolve_adapter: InitVar[Callable[[str], Path]] = hub.resolve_adapter
    routes: Routes = field(init=False)

    def __post_init__(
        self, adapters: Sequence[ConfiguredAdapter], max_adapters: int, resolve_adapter: Callable[[str], Path]
    ) -> None:
        self.routes = Routes(self.engine, resolve_adapter, max_adapters, adapters)

    @cached_property
    def longest_token(self) -> int:
        """The most bytes that one token stands for. Looks at the whole vocabulary when first asked."""
        return max(len(self.tokenizer.token_bytes(token)) for token in range(self.tokenizer.vocab_size))

    @property
    def ready(self) -> bool:
        """Whether a request would be worked on now, for whichever configured adapter it is."""
        return self.engine.ready and self.routes.ready

    async def start(self) -> None:
        """Start the engine and add the configured adapters. Raises `ModelError`, `AdapterError` or `EngineError`."""
        await self.engine.start()
        await self.routes.start()

    async def stop(self) -> None:
        """End every request and give the engine's memory back; `start` begins again, with today's adapters."""
        await self.engine.close()

    def served(self, model: str) -> Served | None:
        """The adapter that `model` (`<endpoint-id>` or `<endpoint-id>:<route>`) asks for, None for the base model.

        Raises `RequestError` 404 for a route that is not here.
        """
        _, colon, route = model.partition(":")
        return self.routes.find(route, field="model") if colon else None

    def hold(self, served: Served | None) -> AbstractContextManager[str | None]:
        """The adapter's key; the adapter stays in the engine until the context ends."""
        return nullcontext(None) if served is None else self.routes.hold(served)
