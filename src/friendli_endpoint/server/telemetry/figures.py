"""What the metrics ask of the endpoints whenever they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import Struct

from friendli_endpoint.engine.vocabulary import Pulse  # noqa: TC001 - part of a Struct


class EndpointFigures(Struct, frozen=True, kw_only=True):
    """One endpoint now. `state` is one of `STATES`; `pulse` is the engine's latest, None before its first."""

    id: str
    state: str
    pulse: Pulse | None = None
    restarts: int = 0


Figures: TypeAlias = Callable[[], Iterable[EndpointFigures]]
