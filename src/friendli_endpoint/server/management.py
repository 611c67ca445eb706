"""The routes that list and change an endpoint's adapters while it serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from friendli_endpoint.config import NAME_RULE, TeamSettings, is_name
from friendli_endpoint.errors import AdapterError, HubError, RequestError
from friendli_endpoint.server import audit
from friendli_endpoint.server.admission import Admission
from friendli_endpoint.server.caller import caller_of
from friendli_endpoint.server.connection import while_connected
from friendli_endpoint.server.errors import StoppingError, send_json, send_nothing
from friendli_endpoint.server.limits import read_json_body
from friendli_endpoint.server.race import done_before
from friendli_endpoint.server.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.server.endpoint import Endpoint
    from friendli_endpoint.server.routes import Served
    from friendli_endpoint.server.service import Service

LONGEST_SOURCE: Final = 4096
"""In characters; Linux takes no longer path."""
_MOST_BYTES: Final = 64 * 2**10  # a body is parsed on the event loop


class Adapter(Struct, frozen=True, kw_only=True):
    """An adapter as the interface shows it. `requests` use it now; `created` is in Unix seconds."""

    object: Literal["adapter"] = "adapter"
    route: str
    source: str
    rank: int
    targets: tuple[str, ...]
    parameters: int
    requests: int
    created: int


class AdapterList(Struct, frozen=True, kw_only=True):
    """The adapters of an endpoint, by route."""

    object: Literal["list"] = "list"
    data: tuple[Adapter, ...]


class Management:
    """What the routes of changes share: who is let in, and how long a call goes on."""

    def __init__(self, service: Service) -> None:
        server = service.settings.server
        self.limits = msgspec.structs.replace(server, max_body_bytes=min(server.max_body_bytes, _MOST_BYTES))
        self._service = service
        self._calls = Admission(server.max_requests, lambda _: TeamSettings())
        self._over = asyncio.Event()

    def endpoint(self, scope: Scope) -> Endpoint:
        """The endpoint that the path names. Raises what keeps a call from being worked on now."""
        self._service.check_open()
        identity = caller_of(scope).identity
        endpoint = self._service.endpoints.find(scope["path_params"]["endpoint_id"], identity)
        endpoint.check()
        return endpoint

    async def run(self, scope: Scope, receive: Receive, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run `work` while the client waits and the server goes on; otherwise it is cancelled."""
        with self._calls.enter(caller_of(scope).team):
            if not await done_before(self._over.wait(), while_connected(receive, work())):
                raise StoppingError

    async def idle(self) -> None:
        """Return once no call is worked on."""
        await self._calls.idle()

    def end(self) -> None:
        """End the calls that are worked on, with 503."""
        self._over.set()


class AdaptersRoute:
    """GET .../adapters"""

    def __init__(self, management: Management) -> None:
        self._management = management

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        routes = self._management.endpoint(scope).deployment.routes
        await send_json(send, msgspec.json.encode(AdapterList(data=tuple(map(_shown, routes.all())))))


class AdapterRoute:
    """GET, PUT and DELETE .../adapters/{route}"""

    def __init__(self, management: Management) -> None:
        self._management = management

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint, route = self._management.endpoint(scope), scope["path_params"]["route"]
        match scope["method"]:
            case "PUT":
                await self._put(route, scope, receive, send)
            case "DELETE":
                await self._management.run(scope, receive, lambda: _remove(endpoint, route, scope, send))
            case _:
                served = endpoint.deployment.routes.find(route, field="route")
                await send_json(send, msgspec.json.encode(_shown(served)))

    async def _put(self, route: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_name(route):
            raise RequestError(f"The route cannot be called so: use {NAME_RULE}.", field="route")
        limits = self._management.limits
        body = await read_json_body(scope, receive, limits)
        source = _source(parse_object(body, max_depth=limits.max_json_depth))
        endpoint = self._management.endpoint(scope)
        await self._management.run(scope, receive, lambda: _replace(endpoint, route, source, scope, send))


async def _replace(endpoint: Endpoint, route: str, source: str, scope: Scope, send: Send) -> None:
    with endpoint.use():
        await endpoint.awake()
        try:
            served, new = await endpoint.deployment.routes.put(route, source)
        except (AdapterError, HubError) as error:
            raise RequestError(str(error), field="source") from error
    audit.change(scope, "adapter put", endpoint=endpoint.id, route=route, source=source)
    await send_json(send, msgspec.json.encode(_shown(served)), status=201 if new else 200)


async def _remove(endpoint: Endpoint, route: str, scope: Scope, send: Send) -> None:
    with endpoint.use():
        await endpoint.deployment.routes.remove(route)
    audit.change(scope, "adapter delete", endpoint=endpoint.id, route=route)
    await send_nothing(send)


def _source(members: dict[str, object]) -> str:
    for name in members:
        if name != "source":
            field = name.encode(errors="replace").decode()[:100]
            raise RequestError(f"{field} is not a field; the body has source alone.", field=field)
    source = members.get("source")
    if not isinstance(source, str) or not source.strip():
        raise RequestError("source should be the path of an adapter, where the server is, or a hub id.", field="source")
    if len(source) > LONGEST_SOURCE or not source.isprintable():
        raise RequestError(f"source should be printable and have at most {LONGEST_SOURCE} characters.", field="source")
    return source


def _shown(served: Served) -> Adapter:
    return Adapter(
        route=served.route,
        source=served.source,
        rank=served.card.rank,
        targets=served.card.targets,
        parameters=served.card.parameters,
        requests=served.requests,
        created=served.created,
    )
