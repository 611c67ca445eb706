"""The endpoints of a running server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from friendli.cli.remote import read, segment
from friendli.models.response import Lenient
from friendli.utils import TimeoutConfig

if TYPE_CHECKING:
    from friendli._settings import CallOptions
    from friendli.cli.remote import Remote

Change: TypeAlias = Literal["sleep", "wake", "restart"]

_PATH: Final = "/dedicated/v1/endpoints"
# A model's load has no natural bound, nor has what runs when an endpoint is put to sleep.
_PATIENT: Final[CallOptions] = {"timeout_ms": TimeoutConfig(total_ms=24 * 3_600_000)}


class Endpoint(Lenient):
    """What the server says of an endpoint; `requests` are there now, `waiting` of them for a turn."""

    object: str = "endpoint"
    id: str
    status: str
    error: str | None = None
    requests: int = 0
    waiting: int = 0
    adapters: int = 0
    start_seconds: float | None = None


class EndpointList(Lenient):
    """The endpoints that the token may know of."""

    object: str = "list"
    data: list[Endpoint]


@dataclass(frozen=True)
class EndpointCalls:
    """What can be asked and done; every method raises `SDKError`."""

    server: Remote

    def all(self) -> EndpointList:
        """The endpoints, as the server lists them."""
        return read(self.server.run(self.server.call("GET", _PATH)), EndpointList, "endpoints")

    def change(self, endpoint_id: str, change: Change) -> Endpoint:
        """The endpoint after the change, which is done by then.

        A restart whose answer got lost is refused when it is tried again: the endpoint has not failed any more.
        """
        call = self.server.call("PUT", f"{_PATH}/{segment(endpoint_id)}/{change}", options=_PATIENT)
        return read(self.server.run(call), Endpoint, "an endpoint")
