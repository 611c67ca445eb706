"""The client's side of a reply: work goes on only while somebody is there to read it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from friendli_endpoint.server.limits import ClientLeftError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import Receive


async def while_connected(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Run `work` to its end, or cancel it and raise `ClientLeftError` when the client goes away.

    The request's body must have been read. Watching is explicit: not every server makes a send to nobody fail.
    """
    worker = asyncio.ensure_future(work)
    watcher = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not worker.done():
            raise ClientLeftError
        worker.result()
    finally:
        await _cancelled(worker)
        await _cancelled(watcher)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(task: asyncio.Future[None]) -> None:
    """Cancel `task` and return once it has ended, whatever its end."""
    task.cancel()
    await asyncio.wait({task})
