"""Who may: a bearer token for everything but the two questions that a load balancer asks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from friendli_endpoint.config import TokenHash

OPEN_PATHS = frozenset({"/health", "/ready"})


class BearerAuth:
    """Lets a request through that shows one of `tokens`, or whose path is open; everything passes when there are none.

    It goes by the path that the router goes by, never by a URL made from headers.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[TokenHash]) -> None:
        self._app = app
        self._tokens = tuple(tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._tokens and scope["path"] not in OPEN_PATHS:
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            raise RequestError("A token is needed; send the header Authorization: Bearer <token>.", status=401)
        scheme, _, token = given[0].partition(b" ")
        if len(given) > 1 or scheme.lower() != b"bearer" or not self._knows(token.strip()):
            raise RequestError("The token is not valid for this server.", status=401)

    def _knows(self, token: bytes) -> bool:
        digest = hashlib.sha256(token).digest()
        # Every token is looked at, so that the time does not tell which one it was.
        return sum(known.matches(digest) for known in self._tokens) > 0
