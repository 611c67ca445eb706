"""The routes that show the endpoints, and put them to sleep, wake and restart them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from msgspec import Struct

from friendli_endpoint.errors import EndpointError, RequestError
from friendli_endpoint.server import audit
from friendli_endpoint.server.caller import caller_of
from friendli_endpoint.server.errors import UnavailableError, send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.server.endpoint import Endpoint as Served
    from friendli_endpoint.server.management import Management
    from friendli_endpoint.server.service import Service


class Endpoint(Struct, frozen=True, kw_only=True):
    """An endpoint as the interface shows it.

    `error` says why it has FAILED. `requests` are here now, `waiting` of them for a turn. `adapters` are its routes.
    `start_seconds` is how long the engine took to start or wake up, the last time. Times are in Unix seconds.
    """

    object: Literal["endpoint"] = "endpoint"
    id: str
    status: str
    error: str | None
    requests: int
    waiting: int
    adapters: int
    start_seconds: float | None
    created: int
    updated: int


class EndpointList(Struct, frozen=True, kw_only=True):
    """The endpoints that a token may know of, by id."""

    object: Literal["list"] = "list"
    data: tuple[Endpoint, ...]


class EndpointsRoute:
    """GET /dedicated/v1/endpoints"""

    def __init__(self, service: Service) -> None:
        self._endpoints = service.endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = self._endpoints.seen_by(caller_of(scope).identity)
        await send_json(send, msgspec.json.encode(EndpointList(data=tuple(map(_shown, seen)))))


class EndpointRoute:
    """GET /dedicated/v1/endpoints/{endpoint_id}"""

    def __init__(self, service: Service) -> None:
        self._endpoints = service.endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._endpoints.find(scope["path_params"]["endpoint_id"], caller_of(scope).identity)
        await send_json(send, msgspec.json.encode(_shown(found)))


class Change(Protocol):
    """What is done to an endpoint, under its name in the audit's lines."""

    __name__: str

    async def __call__(self, endpoint: Served) -> None:
        """Return when it is done."""


class LifeRoute:
    """PUT /dedicated/v1/endpoints/{endpoint_id}/sleep, /wake and /restart: answered when it is done."""

    def __init__(self, service: Service, management: Management, change: Change) -> None:
        self._service = service
        self._management = management
        self._change = change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._service.check_open()
        endpoint = self._service.endpoints.find(scope["path_params"]["endpoint_id"], caller_of(scope).identity)
        await self._management.run(scope, receive, lambda: self._run(endpoint, scope, send))

    async def _run(self, endpoint: Served, scope: Scope, send: Send) -> None:
        await self._change(endpoint)
        audit.change(scope, self._change.__name__, endpoint=endpoint.id)
        await send_json(send, msgspec.json.encode(_shown(endpoint)))


async def sleep(endpoint: Served) -> None:
    """Give its memory back. Raises `RequestError` 409."""
    await endpoint.sleep()


async def wake(endpoint: Served) -> None:
    """Have it work. Raises `UnavailableError`."""
    await endpoint.awake()


async def restart(endpoint: Served) -> None:
    """Start one that has failed again. Raises `RequestError` 409, or `UnavailableError` when it fails again."""
    try:
        await endpoint.restart()
    except RequestError:
        raise
    except EndpointError as error:
        raise UnavailableError(f"The endpoint could not be started: {error}", retry_after=30) from error


def _shown(endpoint: Served) -> Endpoint:
    return Endpoint(
        id=endpoint.id,
        status=endpoint.status,
        error=endpoint.error,
        requests=endpoint.uses,
        waiting=endpoint.turns.waiting,
        adapters=len(endpoint.deployment.routes.all()),
        start_seconds=endpoint.start_seconds,
        created=endpoint.created,
        updated=endpoint.updated,
    )
