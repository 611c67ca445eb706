"""The HTTP application: values handed to a constructor, small ASGI callables one around the other."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route, Router

from friendli_endpoint.server.auth import BearerAuth
from friendli_endpoint.server.browsers import cors
from friendli_endpoint.server.completions import Completions
from friendli_endpoint.server.doors import Door
from friendli_endpoint.server.endpoint_routes import EndpointRoute, EndpointsRoute, LifeRoute, restart, sleep, wake
from friendli_endpoint.server.errors import ErrorBoundary
from friendli_endpoint.server.health import Health, Ready
from friendli_endpoint.server.limits import HeaderLimit
from friendli_endpoint.server.management import AdapterRoute, AdaptersRoute, Management
from friendli_endpoint.server.openapi import OpenApi
from friendli_endpoint.server.telemetry import Metrics, MetricsRoute, Recorded
from friendli_endpoint.server.usage import UsageRoute

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from friendli_endpoint.server.service import Service

COMPLETIONS_PATH = "/dedicated/v1/completions"
ENDPOINTS_PATH = "/dedicated/v1/endpoints"
ENDPOINT_PATH = f"{ENDPOINTS_PATH}/{{endpoint_id}}"
ADAPTERS_PATH = f"{ENDPOINT_PATH}/adapters"
USAGE_PATH = "/dedicated/v1/usage"
METRICS_PATH = "/metrics"
OPENAPI_PATH = "/openapi.json"
DOORS = (
    Door(COMPLETIONS_PATH, "POST", "complete"),
    Door(ENDPOINTS_PATH, "GET", "token"),
    Door(ENDPOINT_PATH, "GET", "token"),
    Door(USAGE_PATH, "GET", "token"),
    Door(OPENAPI_PATH, "GET", "token"),
    Door(METRICS_PATH, "GET", "metrics"),
    Door("/health", "GET", "nothing"),
    Door("/ready", "GET", "nothing"),
)
"""What needs no admin's token."""


class App:
    """The ASGI application. `management` can end the calls of its changes."""

    def __init__(self, service: Service) -> None:
        self.management = Management(service)
        self.routes = _routes(service, self.management)
        server = service.settings.server
        router = Router(self.routes, redirect_slashes=False)
        auth = BearerAuth(router, server, DOORS, service.tokens)
        self._app: ASGIApp = cors(ErrorBoundary(Recorded(HeaderLimit(auth), service.telemetry)), server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        scope["app"] = self  # makes the router raise its 404 and 405 instead of answering in a shape of its own
        await self._app(scope, receive, send)


def create_app(service: Service) -> App:
    """The application over `service`; it neither starts nor closes what that holds."""
    return App(service)


def _routes(service: Service, management: Management) -> tuple[Route, ...]:
    life = partial(LifeRoute, service, management)
    telemetry = service.telemetry
    metrics = Metrics(telemetry.tally, service.figures, telemetry.dropped, lambda: len(asyncio.all_tasks()))
    adapter = AdapterRoute(management)
    return (
        Route(COMPLETIONS_PATH, Completions(service), methods=["POST"]),
        Route("/health", Health(), methods=["GET"]),
        Route("/ready", Ready(service), methods=["GET"]),
        Route(OPENAPI_PATH, OpenApi(), methods=["GET"]),
        Route(METRICS_PATH, MetricsRoute(metrics), methods=["GET"]),
        Route(USAGE_PATH, UsageRoute(service.ledger), methods=["GET"]),
        Route(ENDPOINTS_PATH, EndpointsRoute(service), methods=["GET"]),
        Route(ENDPOINT_PATH, EndpointRoute(service), methods=["GET"]),
        Route(f"{ENDPOINT_PATH}/sleep", life(sleep), methods=["PUT"]),
        Route(f"{ENDPOINT_PATH}/wake", life(wake), methods=["PUT"]),
        Route(f"{ENDPOINT_PATH}/restart", life(restart), methods=["PUT"]),
        Route(ADAPTERS_PATH, AdaptersRoute(management), methods=["GET"]),
        Route(f"{ADAPTERS_PATH}/{{route}}", adapter, methods=["GET", "PUT", "DELETE"]),
    )
