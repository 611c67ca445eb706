"""The socket below an open answer: what the HTTP library has no way to do with it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    import httpx2


def hang_up(response: httpx2.Response) -> None:
    """End a connection of its own, also for a thread that waits for it; several answers share one of HTTP/2."""
    sock = None if response.is_closed or response.http_version == "HTTP/2" else _socket_of(response)
    if sock is not None:
        _shut(sock)


@contextmanager
def hanging_up_after(response: httpx2.Response, seconds: float) -> Iterator[None]:
    """Wake a blocked read after a while: the read timeout of an open answer cannot be shortened."""
    sock = _socket_of(response)
    if sock is None:
        yield
        return
    timer = threading.Timer(seconds, _shut, (sock,))
    timer.daemon = True
    try:
        timer.start()
        yield
    finally:
        timer.cancel()


def sever(response: httpx2.Response) -> None:
    """Put nothing in the place of this process's copy of a connection: reading fails, and the parent alone ends it."""
    sock = _socket_of(response)
    with suppress(OSError):
        if sock is not None and sock.fileno() >= 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, sock.fileno())
            os.close(nothing)


def _socket_of(response: httpx2.Response) -> socket.socket | None:
    network = response.extensions.get("network_stream")
    sock: socket.socket | None = network.get_extra_info("socket") if network is not None else None
    return sock


def _shut(sock: socket.socket) -> None:
    import socket

    with suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
