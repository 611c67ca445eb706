"""The HTTP application: values handed to a constructor, small ASGI callables one around the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route, Router

from friendli_endpoint.server.auth import BearerAuth
from friendli_endpoint.server.completions import Completions
from friendli_endpoint.server.doors import Door
from friendli_endpoint.server.errors import ErrorBoundary
from friendli_endpoint.server.health import Gate, Health, Ready
from friendli_endpoint.server.limits import Admission, HeaderLimit
from friendli_endpoint.server.management import AdapterRoute, AdaptersRoute, Management
from friendli_endpoint.server.openapi import OpenApi

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.server.deployment import Deployment

COMPLETIONS_PATH = "/dedicated/v1/completions"
ADAPTERS_PATH = "/dedicated/v1/endpoints/{endpoint_id}/adapters"
OPENAPI_PATH = "/openapi.json"
DOORS = (
    Door(COMPLETIONS_PATH, "POST", "complete"),
    Door("/health", "GET", "nothing"),
    Door("/ready", "GET", "nothing"),
    Door(OPENAPI_PATH, "GET", "token"),
)
"""What needs no admin's token."""


class App:
    """The ASGI application. `admission` counts live requests and can close the door, `management` can end its calls."""

    def __init__(self, deployment: Deployment, settings: ServerSettings) -> None:
        self.admission = Admission(settings.max_requests)
        gate = Gate(deployment, self.admission)
        self.management = Management(deployment, settings, gate)
        adapter_path = f"{ADAPTERS_PATH}/{{route}}"
        self.routes = (
            Route(COMPLETIONS_PATH, Completions(deployment, settings, self.admission, gate), methods=["POST"]),
            Route("/health", Health(), methods=["GET"]),
            Route("/ready", Ready(gate), methods=["GET"]),
            Route(OPENAPI_PATH, OpenApi(), methods=["GET"]),
            Route(ADAPTERS_PATH, AdaptersRoute(self.management), methods=["GET"]),
            Route(adapter_path, AdapterRoute(self.management), methods=["GET", "PUT", "DELETE"]),
        )
        router = Router(self.routes, redirect_slashes=False)
        self._app: ASGIApp = ErrorBoundary(HeaderLimit(BearerAuth(router, settings, DOORS)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        scope["app"] = self  # makes the router raise its 404 and 405 instead of answering in a shape of its own
        await self._app(scope, receive, send)


def create_app(deployment: Deployment, settings: ServerSettings) -> App:
    """The application that serves `deployment` under `settings`; it neither starts nor closes the engine."""
    return App(deployment, settings)
