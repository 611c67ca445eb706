"""The client's side of a reply: work goes on only while somebody is there to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.server.limits import ClientLeftError
from friendli_endpoint.server.race import done_before

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import Receive


async def while_connected(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Run `work` to its end, or cancel it and raise `ClientLeftError` when the client goes away.

    The request's body must have been read. Watching is explicit: not every server makes a send to nobody fail.
    """
    if not await done_before(_left(receive), work):
        raise ClientLeftError


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
