"""Starts a server from settings: in the foreground (`serve`), or beside a program of ours (`embedded`)."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec
import uvloop

from friendli_endpoint.config import TokenHash
from friendli_endpoint.errors import ConfigError
from friendli_endpoint.server.app import COMPLETIONS_PATH
from friendli_endpoint.server.host import Stop, host
from friendli_endpoint.server.listen import base_url, listen
from friendli_endpoint.server.loading import load
from friendli_endpoint.server.service import open_service
from friendli_endpoint.server.sockets import allow_many_sockets
from friendli_endpoint.server.telemetry import Sink, configured_logging
from friendli_endpoint.server.tls import renew, tls_context, unencrypted

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Sequence

    from friendli_endpoint.config import ServerSettings, Settings
    from friendli_endpoint.hub import Progress
    from friendli_endpoint.server.deployment import Deployment
    from friendli_endpoint.server.service import Service

Load: TypeAlias = Callable[["Settings", "Progress | None"], "Sequence[Deployment]"]

_log = logging.getLogger(__name__)


class Embedded(NamedTuple):
    """Where the embedded server is, and the token that it takes."""

    base_url: str
    token: str


def serve(
    settings: Settings,
    *,
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
    load: Load = load,
) -> None:
    """Serve until SIGTERM or SIGINT, then return; a second signal does not wait for what runs.

    With TLS, SIGHUP has the certificate and its key read again.

    `announce` gets the lines that a person needs, once the engine is ready (default: standard output).
    Raises `EndpointError` when the server cannot start. To be called in the main thread.
    """
    say = announce or _print
    server = settings.server
    tls = tls_context(server)
    allow_many_sockets()
    with listen(server.host, server.port) as listener, _logging(server) as log:
        service = open_service(load(settings, progress), settings, dropped=lambda: log.dropped)
        if warning := unencrypted(server):
            _log.warning(warning)
        url = base_url(listener, secure=tls is not None)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(service, listener, lambda: _announce(service, url, say), tls))


def _logging(server: ServerSettings) -> AbstractContextManager[Sink]:
    return configured_logging(server.log, level=logging.getLevelNamesMapping()[server.log_level.upper()])


def _announce(service: Service, url: str, say: Callable[[str], None]) -> None:
    for endpoint in service.endpoints:
        if endpoint.error is not None:
            say(f"The endpoint {endpoint.id!r} has failed: {endpoint.error}")
            continue
        say(f"The endpoint {endpoint.id!r} is ready at {url}")
        if routes := endpoint.deployment.routes.all():
            say(f"Adapters: {', '.join(f'{endpoint.id}:{each.route}' for each in routes)}")
    ready = next(endpoint.id for endpoint in service.endpoints if endpoint.error is None)
    say(curl_line(url, ready, needs_token=service.guarded))


async def _until_signalled(
    service: Service, listener: socket.socket, when_ready: Callable[[], None], tls: ssl.SSLContext | None
) -> None:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    if tls is not None:
        loop.add_signal_handler(signal.SIGHUP, _renew, tls, service.settings.server)
    await host(service, listener, stop, when_ready, tls)


def _renew(tls: ssl.SSLContext, server: ServerSettings) -> None:
    try:
        renew(tls, server)
    except ConfigError as error:
        _log.error("the certificate has not been renewed, the old one is used on: %s", error)
    else:
        _log.info("the certificate has been read again")


@contextmanager
def embedded(settings: Settings, *, progress: Progress | None = None, load: Load = load) -> Iterator[Embedded]:
    """A server for this process alone, on a free loopback port with a token of its own, gone at the end.

    Of the server settings, host, port, tokens and TLS are replaced, and nothing is kept; the token is an admin's.
    Raises `EndpointError` when it cannot start.
    """
    token = secrets.token_urlsafe(32)
    private = msgspec.structs.replace(
        settings.server,
        host="127.0.0.1",
        port=0,
        tokens=(),
        admin_tokens=(TokenHash.parse(token),),
        certificate=None,
        certificate_key=None,
        state=None,
        drain_seconds=0.0,
    )
    with listen(private.host, private.port) as listener:
        service = open_service(load(settings, progress), msgspec.structs.replace(settings, server=private))
        url = base_url(listener)
        background = _Background(service, listener)
        try:
            background.wait_until_ready()
            yield Embedded(url, token)
        finally:
            background.stop()


class _Background:
    """A server on an event loop in a thread of its own."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self._begun: Future[tuple[asyncio.AbstractEventLoop, Stop]] = Future()
        self._ready: Future[None] = Future()
        self._service = service
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="friendli-endpoint")
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Raises what keeps the server from starting."""
        self._ready.result()

    def stop(self) -> None:
        """End the server and return once it is gone; safe when it never came up."""
        if self._begun.exception() is None:
            loop, stop = self._begun.result()
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stop.ask)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            if self._ready.done():
                raise
            if not self._begun.done():
                self._begun.set_exception(error)
            self._ready.set_exception(error)

    async def _main(self) -> None:
        stop = Stop()
        self._begun.set_result((asyncio.get_running_loop(), stop))
        await host(self._service, self._listener, stop, lambda: self._ready.set_result(None))


def curl_line(url: str, endpoint_id: str, *, needs_token: bool) -> str:
    """A command that completes a prompt when pasted into a shell; the token stays in the shell's environment."""
    body = json.dumps({"model": endpoint_id, "prompt": "Say this is a test!", "max_tokens": 32, "stream": True})
    token = ' -H "Authorization: Bearer $FRIENDLI_TOKEN"' if needs_token else ""
    return f"curl -N {url}{COMPLETIONS_PATH} -H 'Content-Type: application/json'{token} -d {shlex.quote(body)}"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
