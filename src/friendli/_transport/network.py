"""Where the HTTP clients come from and how time passes: the seam behind which `friendli.testing` has another world."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Protocol, cast

import httpx2

from friendli.errors import InvalidRequestError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

# Many servers close what was idle for 5 s: a request that crosses that on its way would be lost.
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=4.0)


class Network(Protocol):
    """What the transports need of the world."""

    def client(self) -> httpx2.Client:
        """A new client."""

    def async_client(self) -> httpx2.AsyncClient:
        """A new async client."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    async def sleep_async(self, seconds: float) -> None:
        """Let time pass."""


class RealNetwork:
    """Sockets and the machine's clock."""

    now = staticmethod(time.monotonic)

    def client(self) -> httpx2.Client:
        with _explaining_proxies():
            return httpx2.Client(limits=_LIMITS, verify=_tls(), cookies=_no_cookies())

    def async_client(self) -> httpx2.AsyncClient:
        with _explaining_proxies():
            return httpx2.AsyncClient(limits=_LIMITS, verify=_tls(), cookies=_no_cookies())

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)


@contextmanager
def _explaining_proxies() -> Iterator[None]:
    """The environment's proxies are all that can fail when a client is made."""
    try:
        yield
    except ImportError as error:
        raise InvalidRequestError("a SOCKS proxy, as in ALL_PROXY, needs: pip install 'httpx2[socks]'") from error
    except ValueError as error:
        raise InvalidRequestError(
            "the environment names a proxy that cannot be used: see HTTP_PROXY, ALL_PROXY"
        ) from error


def _no_cookies() -> CookieJar:
    """Takes none: what one team was given must not go along with another one's calls."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@cache
def _certificates() -> ssl.SSLContext:
    """One for all clients: loading the certificates costs more than two hundred calls."""
    return httpx2.create_ssl_context()


class _OnDemand:
    """Stands for the library's own TLS context, which is not made before a connection asks something of it."""

    def __getattr__(self, name: str) -> object:
        value: object = getattr(_certificates(), name)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_certificates(), name, value)


def _tls() -> ssl.SSLContext:
    return cast("ssl.SSLContext", _OnDemand())


_current: Network = RealNetwork()


def current() -> Network:
    """The network that calls begin on now."""
    return _current


@contextmanager
def replaced(network: Network) -> Iterator[None]:
    """Every call that begins within the block, of every client without an HTTP client of its own, uses `network`."""
    global _current
    before, _current = _current, network
    try:
        yield
    finally:
        _current = before
