"""Who may: a bearer token for everything but a load balancer's two questions, an admin's for changes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from starlette.routing import Match

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.routing import Router
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.config import ServerSettings, TokenHash

OPEN_PATHS = frozenset({"/health", "/ready"})


class BearerAuth:
    """Lets a request through to `router` that shows a token for its path; everything passes when there are no tokens.

    An admin token is good for every path, another one for `user_paths` alone. It goes by the path that the router goes
    by, never by a URL made from headers.
    """

    def __init__(self, router: Router, settings: ServerSettings, user_paths: Collection[str]) -> None:
        self._router = router
        self._tokens = settings.tokens
        self._admin_tokens = settings.admin_tokens
        self._needed = settings.guarded
        self._user_paths = frozenset(user_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._needed and scope["path"] not in OPEN_PATHS:
            self._check(scope)
        await self._router(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        digest = hashlib.sha256(_token(scope)).digest()
        user, admin = _knows(self._tokens, digest), _knows(self._admin_tokens, digest)
        if not user and not admin:
            raise _invalid()
        if not admin and scope["path"] not in self._user_paths and self._leads_somewhere(scope):
            raise RequestError(
                "This needs an admin token: one of server.admin_tokens (--admin-token) of this server.", status=403
            )

    def _leads_somewhere(self, scope: Scope) -> bool:
        """Whether the path is a route's, whatever the method; a mistyped one is 404 to everybody who has a token."""
        return any(route.matches(scope)[0] is not Match.NONE for route in self._router.routes)


def _token(scope: Scope) -> bytes:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        raise RequestError("A token is needed; send the header Authorization: Bearer <token>.", status=401)
    scheme, _, token = given[0].partition(b" ")
    if len(given) > 1 or scheme.lower() != b"bearer":
        raise _invalid()
    return bytes(token.strip())


def _knows(tokens: Sequence[TokenHash], digest: bytes) -> bool:
    # Every token is looked at, so that the time does not tell which one it was.
    return sum(known.matches(digest) for known in tokens) > 0


def _invalid() -> RequestError:
    return RequestError("The token is not valid for this server.", status=401)
