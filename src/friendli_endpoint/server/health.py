"""Two questions that need no token: is the server alive, and would it take a request now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.server.errors import UnavailableError, send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.server.service import Service


class Ready:
    """GET /ready: 200 when a request would be taken, 503 otherwise."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._service.check_open()
        if not self._service.endpoints.ready:
            raise UnavailableError("The engine is not ready yet; try again shortly.", retry_after=1)
        await send_json(send, b'{"status":"ready"}')


class Health:
    """GET /health: 200 as long as the event loop turns."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, b'{"status":"ok"}')
