"""The endpoints of one server, by id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from friendli_endpoint.errors import EndpointError, RequestError
from friendli_endpoint.server.endpoint import Status
from friendli_endpoint.server.routes import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from friendli_endpoint.server.caller import Identity
    from friendli_endpoint.server.endpoint import Endpoint

_log = logging.getLogger(__name__)


class Endpoints:
    """Started one after another, because each start takes the whole machine."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_id = {endpoint.id: endpoint for endpoint in endpoints}

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._by_id.values())

    @property
    def ready(self) -> bool:
        """Whether requests would be worked on, for each endpoint that has not failed."""
        standing = [endpoint for endpoint in self if endpoint.status is not Status.FAILED]
        return bool(standing) and all(endpoint.ready for endpoint in standing)

    def seen_by(self, identity: Identity) -> list[Endpoint]:
        """Those that a token may know of, by id."""
        return [self._by_id[name] for name in sorted(self._by_id) if identity.sees(name)]

    def find(self, endpoint_id: str, identity: Identity, *, field: str | None = None) -> Endpoint:
        """Raises `RequestError` 404 for an endpoint that is not here, or that the token may not know of."""
        endpoint = self._by_id.get(endpoint_id)
        if endpoint is None or not identity.sees(endpoint_id):
            known = ", ".join(repr(each.id) for each in self.seen_by(identity)) or "none for this token"
            raise RequestError(
                f"There is no endpoint {quoted(endpoint_id)}; this server has {known}.", field=field, status=404
            )
        return endpoint

    async def start(self) -> None:
        """Start all. What keeps every one of them from starting is raised; one that fails beside others is logged."""
        failures: list[EndpointError] = []
        for endpoint in self:
            try:
                await endpoint.start()
            except EndpointError as error:
                failures.append(error)
                _log.error("the endpoint %s cannot be started: %s", endpoint.id, error)
        if failures and len(failures) == len(self._by_id):
            raise failures[0]

    async def close(self) -> None:
        """End all."""
        for endpoint in self:
            await endpoint.close()
