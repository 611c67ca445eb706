"""What a shown token allows."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Scope: TypeAlias = Literal["complete", "admin", "metrics"]
"""`complete` asks for completions and reads of its team, `metrics` reads /metrics, `admin` does everything."""


class Identity(Struct, frozen=True, kw_only=True):
    """What a token allows. None stands for every team, every endpoint.

    `name` is what of the token may be shown: its prefix, or how it was given when it has none.
    """

    name: str
    scopes: frozenset[Scope]
    teams: tuple[str, ...] | None = None
    endpoints: frozenset[str] | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it is good for a scope; an admin's is good for all."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, endpoint_id: str) -> bool:
        """Whether it may know of an endpoint."""
        return self.endpoints is None or endpoint_id in self.endpoints
