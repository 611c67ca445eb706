"""The adapter routes of an endpoint on a running server."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from friendli._retry import Trouble
from friendli.cli.remote import read, segment
from friendli.errors import NotFoundError
from friendli.models.response import Lenient
from friendli.utils import TimeoutConfig

if TYPE_CHECKING:
    from friendli._call import Call
    from friendli._retry import RetryPolicy, Setback
    from friendli._settings import CallOptions
    from friendli.cli.remote import Remote

# Loading an adapter may include a download, and removing one waits for what runs: neither has a natural bound.
_PATIENT: CallOptions = {"timeout_ms": TimeoutConfig(total_ms=7 * 24 * 3_600_000)}


class Adapter(Lenient):
    """What the server says of an adapter; `requests` is how many use it now."""

    object: str = "adapter"
    route: str
    source: str
    rank: int
    targets: list[str]
    parameters: int
    requests: int


class AdapterList(Lenient):
    """All adapters of an endpoint."""

    object: str = "list"
    data: list[Adapter]


@dataclass(frozen=True)
class AdapterRoutes:
    """What can be done to the routes of one endpoint; every method raises `SDKError`."""

    server: Remote
    endpoint_id: str

    def all(self) -> AdapterList:
        """The routes, as the server lists them."""
        return read(self.server.run(self._call("GET")), AdapterList, "adapters")

    def put(self, route: str, source: str) -> tuple[Adapter, bool]:
        """Give `route` the adapter at `source`, when it is loaded; True if the route is new."""
        body = json.dumps({"source": source}).encode()
        reply = self.server.run(self._call("PUT", route, body, _PATIENT))
        return read(reply, Adapter, "adapters"), reply.status == HTTPStatus.CREATED

    def remove(self, route: str) -> None:
        """Take `route` away; returns when no request uses its adapter any more."""
        call = self._call("DELETE", route, options=_PATIENT)
        attempts = _DoubtfulRetry(call.policy)
        try:
            self.server.run(replace(call, policy=attempts))
        except NotFoundError:
            if not attempts.doubtful:
                raise

    def _call(self, method: str, route: str = "", body: bytes = b"", options: CallOptions | None = None) -> Call:
        path = f"/dedicated/v1/endpoints/{segment(self.endpoint_id)}/adapters"
        if route:
            path = f"{path}/{segment(route)}"
        return self.server.call(method, path, body, options)


@dataclass
class _DoubtfulRetry:
    """Retries as `policy` does; `doubtful` once an attempt that was retried may have been carried out all the same."""

    policy: RetryPolicy
    doubtful: bool = False

    def wait(self, setback: Setback, attempt: int, elapsed: float) -> float | None:
        wait = self.policy.wait(setback, attempt, elapsed)
        if wait is not None and setback.trouble is not Trouble.CONNECT and not setback.throttled:
            self.doubtful = True
        return wait

    def succeeded(self) -> None:
        self.policy.succeeded()
