"""Who may: a good token for everything but what has an open door, its scope, endpoints and teams for the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from friendli_endpoint.config import DEFAULT_TEAM, NAME_RULE, is_name
from friendli_endpoint.errors import RequestError
from friendli_endpoint.server import audit
from friendli_endpoint.server.browsers import refuse_pages
from friendli_endpoint.server.caller import Caller, caller_of
from friendli_endpoint.server.credentials import ANYBODY, Credentials
from friendli_endpoint.server.doors import Doors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import Router
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.access import Identity, TokenStore
    from friendli_endpoint.access import Scope as AccessScope
    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.server.doors import Door

TEAM_HEADER: Final = "X-Friendli-Team"
_TOKEN = re.compile(rb"[!-~]+")


class BearerAuth:
    """Lets a request through to `router` that may go where it leads, and notes in the scope who sent it (`caller_of`).

    What is in none of `doors` needs an admin's token. It goes by the path that the router goes by, never by a URL made
    from headers. `store` has the tokens that were created, None when none are kept.
    """

    def __init__(
        self, router: Router, settings: ServerSettings, doors: Iterable[Door], store: TokenStore | None = None
    ) -> None:
        self._router = router
        self._doors = Doors(router.routes, doors)
        self._credentials = Credentials(settings, store)
        self._origins = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._doors.way(scope)
        if way.need != "nothing":
            identity = self._identity(scope)
            scope["caller"] = Caller(identity=identity, team=identity.teams[0] if identity.teams else DEFAULT_TEAM)
            _check_scope(scope, way.need)
            if way.endpoint_id is not None:
                check_endpoint(scope, way.endpoint_id)
            scope["caller"] = Caller(identity=identity, team=_team(scope))
        await self._router(scope, receive, send)

    def _identity(self, scope: Scope) -> Identity:
        if not self._credentials.needed:
            refuse_pages(scope, self._origins)
            return ANYBODY
        token = _token(scope)
        identity = self._credentials.identify(token)
        if identity is None:
            audit.refused_token(scope, "not valid", token)
            raise _invalid()
        return identity


def check_endpoint(scope: Scope, endpoint_id: str, *, field: str | None = None) -> None:
    """Raises `RequestError` (403) when the caller's token is not for this endpoint, be there one or not."""
    identity = caller_of(scope).identity
    if not identity.sees(endpoint_id):
        audit.refused_access(scope, "endpoint", endpoint=endpoint_id)
        raise RequestError("This token is not for this endpoint.", field=field, status=403)


def _token(scope: Scope) -> bytes:
    given = _values(scope, b"authorization")
    if not given:
        audit.refused_token(scope, "none")
        raise RequestError("A token is needed; send the header Authorization: Bearer <token>.", status=401)
    scheme, _, token = given[0].partition(b" ")
    token = token.strip()
    if len(given) > 1 or scheme.lower() != b"bearer" or not _TOKEN.fullmatch(token):
        audit.refused_token(scope, "malformed")
        raise _invalid()
    return token


def _check_scope(scope: Scope, need: AccessScope | Literal["token"]) -> None:
    if need == "token" or caller_of(scope).identity.may(need):
        return
    audit.refused_access(scope, "scope", needed=need)
    if need == "admin":
        sentence = "This needs an admin token: one of server.admin_tokens (--admin-token) of this server, or"
    else:
        sentence = f"This needs a token with the scope {need}:"
    raise RequestError(f"{sentence} one made with friendli token create --scope {need}.", status=403)


def _team(scope: Scope) -> str:
    """The team that the request runs as: the one that it names, if the token is for it, else the token's first."""
    caller = caller_of(scope)
    given = _values(scope, TEAM_HEADER.lower().encode())
    if not given:
        return caller.team
    team = given[0].decode("latin-1")
    if len(given) > 1 or not is_name(team):
        raise RequestError(f"{TEAM_HEADER} should name one team: {NAME_RULE}.", field=TEAM_HEADER)
    teams = caller.identity.teams
    if teams is not None and team not in teams:
        audit.refused_access(scope, "team", asked=team)
        raise RequestError(f"This token is not for the team that {TEAM_HEADER} names.", field=TEAM_HEADER, status=403)
    return team


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _invalid() -> RequestError:
    return RequestError("The token is not valid for this server.", status=401)
