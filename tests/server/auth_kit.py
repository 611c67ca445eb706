"""The authentication over routes that only say who has come to them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import msgspec
from starlette.routing import Route, Router

from friendli_endpoint.config import ServerSettings
from friendli_endpoint.server.auth import BearerAuth
from friendli_endpoint.server.browsers import cors
from friendli_endpoint.server.doors import Door
from friendli_endpoint.server.errors import ErrorBoundary, send_json
from friendli_endpoint.server.limits import HeaderLimit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from friendli_endpoint.access import TokenStore

DOORS = (
    Door("/open", "GET", "nothing"),
    Door("/complete", "POST", "complete"),
    Door("/metrics", "GET", "metrics"),
    Door("/any", "GET", "token"),
    Door("/things/{endpoint_id}", "GET", "token"),
    Door("/nowhere", "GET", "nothing"),
)


class _Who:
    """Says whose the request is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("caller")
        who = {"token": caller.identity.name, "team": caller.team} if caller else {}
        await send_json(send, msgspec.json.encode(who))


def guarded(store: TokenStore | None = None, **fields: object) -> ASGIApp:
    """The routes of `DOORS` and one that is in none of them, behind everything that a request has to pass."""
    settings = ServerSettings(**fields)
    paths = ("/open", "/any", "/things/{endpoint_id}", "/things/{endpoint_id}/parts", "/unlisted")
    routes = [
        Route("/complete", _Who(), methods=["POST"]),
        Route("/metrics", _Who(), methods=["GET"]),
        *(Route(path, _Who(), methods=["GET", "PUT"]) for path in paths),
    ]
    router = Router(routes, redirect_slashes=False)
    inner = cors(ErrorBoundary(HeaderLimit(BearerAuth(router, settings, DOORS, store))), settings)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        await inner(scope, receive, send)

    return app


def ask(app: ASGIApp, method: str, path: str, *headers: tuple[str, str], host: str = "127.0.0.1") -> httpx2.Response:
    """The application's reply; `path` may have anything in it that a URL can."""

    async def main() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers=[("Host", host), *headers])

    return asyncio.run(main())


def shows(token: str) -> tuple[str, str]:
    """The header for a token."""
    return ("Authorization", f"Bearer {token}")
