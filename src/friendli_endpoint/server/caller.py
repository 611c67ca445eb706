"""Who asks: what a shown token allows, and the team that this request runs as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from starlette.types import Scope as AsgiScope

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


class Caller(Struct, frozen=True, kw_only=True):
    """One request's side of a token: whose it is, and the team that it runs as."""

    identity: Identity
    team: str


def caller_of(scope: AsgiScope) -> Caller:
    """Who sent the request; the authentication has put it there."""
    caller: Caller = scope["caller"]
    return caller
