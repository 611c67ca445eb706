"""Two questions that need no token: is the server alive, and would it take a request now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.server.errors import UnavailableError, send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.server.deployment import Deployment
    from friendli_endpoint.server.limits import Admission


class Gate:
    """Whether requests are let in: engine and adapters are ready and the server is not about to stop."""

    def __init__(self, deployment: Deployment, admission: Admission) -> None:
        self._deployment = deployment
        self._admission = admission

    def check(self) -> None:
        """Raises `UnavailableError` when a request cannot be taken now."""
        if self._admission.closing:
            raise UnavailableError("The server is stopping; send this to another one, or try again.", retry_after=5)
        if not self._deployment.ready:
            raise UnavailableError("The engine is not ready yet; try again shortly.", retry_after=1)


class Ready:
    """GET /ready: 200 when a request would be taken, 503 otherwise."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._gate.check()
        await send_json(send, b'{"status":"ready"}')


class Health:
    """GET /health: 200 as long as the event loop turns."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, b'{"status":"ok"}')
