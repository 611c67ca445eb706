"""Keeps one server alive on the running event loop, from the first connection to the last."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from friendli_endpoint.server.app import create_app
from friendli_endpoint.server.patience import protocol_of
from friendli_endpoint.server.race import done_before
from friendli_endpoint.server.thread import worker_pool
from friendli_endpoint.server.upkeep import keep_up

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Generator

    from friendli_endpoint.config import ServerSettings
    from friendli_endpoint.server.app import App
    from friendli_endpoint.server.service import Service

_KEEP_ALIVE_SECONDS = 15
_FAREWELL_SECONDS = 5  # for replies that have been cut short to reach clients that read slowly


class Stop:
    """The wish to stop: the first call lets what runs finish, the second one does not wait."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def ask(self) -> None:
        (self.at_once if self.asked.is_set() else self.asked).set()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # Signals belong to whoever runs the loop: uvicorn would die of them after its shutdown instead of returning.
        yield


async def host(
    service: Service,
    listener: socket.socket,
    stop: Stop,
    when_ready: Callable[[], None],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve on `listener` until `stop`; the engines start meanwhile, and `when_ready` is called once they have.

    Requests that run are finished within `drain_seconds`; new ones are answered 503 by then. Raises what keeps every
    endpoint from starting. The listener and all that `service` holds are closed in any case.
    """
    asyncio.get_running_loop().set_default_executor(worker_pool())
    app = create_app(service)
    server = _Server(_config(app, service.settings.server, tls))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    upkeep = asyncio.create_task(keep_up(service), name="upkeep")
    try:
        if await done_before(stop.asked.wait(), service.endpoints.start()):
            when_ready()
            await done_before(stop.asked.wait(), _wait_for(serving))
        service.admission.closing = True
        await done_before(stop.at_once.wait(), _drained(app, service))
    finally:
        app.management.end()
        await app.management.idle()  # else what ends with the engines would be told as done
        await service.endpoints.close()
        server.should_exit = True
        await serving
        upkeep.cancel()
        await asyncio.wait({upkeep})
        service.close()


def _config(app: App, settings: ServerSettings, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol_of(settings),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_FAREWELL_SECONDS,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


async def _wait_for(serving: asyncio.Task[None]) -> None:
    await asyncio.shield(serving)


async def _drained(app: App, service: Service) -> None:
    try:
        async with asyncio.timeout(service.settings.server.drain_seconds):
            await service.admission.idle()
            await app.management.idle()
    except TimeoutError:
        return
