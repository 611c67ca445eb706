"""What is served: a model behind an endpoint id, and adapters of it behind routes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from friendli_endpoint import hub
from friendli_endpoint.config import EndpointSettings
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.routes import Routes, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.server.routes import ConfiguredAdapter
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

    def check_id(self, endpoint_id: str, *, field: str | None = None) -> None:
        """Raises `RequestError` 404 for an endpoint that is not here."""
        if endpoint_id != self.id:
            raise RequestError(
                f"There is no endpoint {quoted(endpoint_id)}; this server has {self.id!r}.", field=field, status=404
            )

    def hold(self, model: str) -> AbstractContextManager[str | None]:
        """The key of the adapter that `model` (`<endpoint-id>` or `<endpoint-id>:<route>`) asks for, None for the base.

        The adapter stays until the context ends. Raises `RequestError` 404 for an endpoint or a route that is not here.
        """
        endpoint_id, colon, route = model.partition(":")
        self.check_id(endpoint_id, field="model")
        if not colon:
            return nullcontext(None)
        return self.routes.hold(self.routes.find(route, field="model"))
