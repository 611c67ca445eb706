"""Who asks: what the shown token allows, and the team that this request runs as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from friendli_endpoint.access import Identity, Scope

if TYPE_CHECKING:
    from starlette.types import Scope as AsgiScope

__all__ = ["Caller", "Identity", "Scope", "caller_of"]


class Caller(Struct, frozen=True, kw_only=True):
    """One request's side of a token: whose it is, and the team that it runs as."""

    identity: Identity
    team: str


def caller_of(scope: AsgiScope) -> Caller:
    """Who sent the request; the authentication has put it there."""
    caller: Caller = scope["caller"]
    return caller
