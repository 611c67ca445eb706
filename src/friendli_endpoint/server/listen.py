"""The listening socket, opened before anything slow: a taken port is known within milliseconds."""

from __future__ import annotations

import errno
import socket

from friendli_endpoint.errors import ConfigError

_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket at `host` and `port` (0: any free port). Raises `ConfigError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigError(f"{host!r} is not an address to listen on: {error.strerror or error}.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets can be bound to one port; only listening settles whose it is.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(_sentence(error, host, port)) from error
    return listener


def base_url(listener: socket.socket, *, secure: bool = False) -> str:
    """Where a client on this machine finds the socket; `secure`: it speaks TLS there."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _sentence(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is taken; choose another with --port, or any free one with --port 0."
        case errno.EACCES:
            return f"Port {port} on {host} needs more rights than this user has; choose one above 1023."
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine; 127.0.0.1 is."
        case _:
            return f"Cannot listen on {host}, port {port}: {error.strerror}."
