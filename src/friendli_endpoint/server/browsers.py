"""What web pages may do: nothing, unless their origin is in `server.cors_origins`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.middleware.cors import CORSMiddleware

from friendli_endpoint.config import is_loopback
from friendli_endpoint.errors import ConfigError, RequestError
from friendli_endpoint.server import audit

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Scope

    from friendli_endpoint.config import ServerSettings

_METHODS: Final = ("GET", "POST", "PUT", "DELETE")
_SENT: Final = ("Authorization", "Content-Type", "X-Friendli-Team", "Idempotency-Key")
_SHOWN: Final = ("X-Request-Id", "Retry-After")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s,*]+")
_HOST = re.compile(rb"\[([0-9a-fA-F:.]+)\](?::[0-9]+)?|([^:/?#@\s\[\]]+)(?::[0-9]+)?")


def cors(app: ASGIApp, settings: ServerSettings) -> ASGIApp:
    """`app`, whose replies pages of `settings.cors_origins` may read; outermost of all, for errors are replies, too.

    Raises `ConfigError` for what is no origin. No cookie is ever allowed: a page needs a token like everybody.
    """
    for origin in settings.cors_origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"server.cors_origins: {origin!r} is no origin; write scheme, host and port as in https://app.example"
            )
    if not settings.cors_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=_METHODS,
        allow_headers=_SENT,
        expose_headers=_SHOWN,
    )


def refuse_pages(scope: Scope, origins: Collection[str]) -> None:
    """Raises `RequestError` (403) for what a web page sends to a server that needs no token.

    Such a server listens on loopback alone, but every page in a browser on this machine reaches that. A page gives
    itself away by its Origin; one whose name was pointed at this address later on (DNS rebinding) by that name in Host.
    """
    for name, value in scope["headers"]:
        if name == b"origin" and value.decode("latin-1") not in origins:
            audit.refused_page(scope, origin=value.decode("latin-1"))
            raise RequestError(
                "Web pages may not use this server: their origin is not in server.cors_origins.", status=403
            )
        if name == b"host" and not _names_this_machine(value):
            audit.refused_page(scope, host=value.decode("latin-1"))
            raise RequestError(
                "A server without tokens answers to localhost and loopback addresses alone, not to the name in Host; "
                "use http://127.0.0.1, or create a token.",
                status=403,
            )


def _names_this_machine(host: bytes) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback((found[1] or found[2]).decode("latin-1").lower())
