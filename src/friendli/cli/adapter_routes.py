"""The adapter routes of an endpoint on a running server, over the SDK's own call life."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from friendli._answers import JSON, expect_content, mismatch
from friendli._call import as_it_is
from friendli._retry import Trouble
from friendli._settings import Settings
from friendli._transport import SyncTransport
from friendli.errors import NotFoundError
from friendli.models.response import Lenient
from friendli.utils import TimeoutConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli._call import Call, Reply
    from friendli._retry import RetryPolicy, Setback
    from friendli._settings import CallOptions

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


Answer = TypeVar("Answer", Adapter, AdapterList)


@dataclass(frozen=True)
class AdapterRoutes:
    """What can be done to the routes of one endpoint; every method raises `SDKError`."""

    settings: Settings
    transport: SyncTransport
    endpoint_id: str

    def all(self) -> AdapterList:
        """The routes, as the server lists them."""
        return _answer(self.transport.run(self._call("GET"), as_it_is), AdapterList)

    def put(self, route: str, source: str) -> tuple[Adapter, bool]:
        """Give `route` the adapter at `source`, when it is loaded; True if the route is new."""
        body = json.dumps({"source": source}).encode()
        reply = self.transport.run(self._call("PUT", route, body, _PATIENT), as_it_is)
        return _answer(reply, Adapter), reply.status == HTTPStatus.CREATED

    def remove(self, route: str) -> None:
        """Take `route` away; returns when no request uses its adapter any more."""
        call = self._call("DELETE", route, options=_PATIENT)
        attempts = _DoubtfulRetry(call.policy)
        try:
            self.transport.run(replace(call, policy=attempts), as_it_is)
        except NotFoundError:
            if not attempts.doubtful:
                raise

    def _call(self, method: str, route: str = "", body: bytes = b"", options: CallOptions | None = None) -> Call:
        path = f"/dedicated/v1/endpoints/{_segment(self.endpoint_id)}/adapters"
        if route:
            path = f"{path}/{_segment(route)}"
        return self.settings.call(body, options or {}, method=method, path=path)


@contextmanager
def adapter_routes(server_url: str | None, token: str | None, endpoint_id: str) -> Iterator[AdapterRoutes]:
    """The routes of an endpoint; None leaves the address or the token to the environment."""
    transport = SyncTransport()
    try:
        yield AdapterRoutes(Settings.of(token, {"server_url": server_url}), transport, endpoint_id)
    finally:
        transport.close()


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


def _answer(reply: Reply, kind: type[Answer]) -> Answer:
    expect_content(reply, JSON)
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError as error:
        raise mismatch(reply, "the answer does not describe adapters") from error


def _segment(name: str) -> str:
    """`name` as one segment of a path; dots are written out, because `..` alone would mean the segment before."""
    return quote(name, safe="").replace(".", "%2E")
