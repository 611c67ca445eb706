"""Where a redirected request goes next, and what may go with it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from friendli._checks import is_address

if TYPE_CHECKING:
    from friendli._call import Reply, Send

MOST_REDIRECTS = 5

_KEEPING = frozenset({307, 308})  # the same request again
_REDIRECTING = _KEEPING | {301, 302, 303}
_DEFAULT_PORTS = {"http": 80, "https": 443}

# What the client itself says about a request and that tells nothing of its caller.
_PLAIN_HEADERS = frozenset({"accept", "content-type", "idempotency-key", "user-agent"})


def next_hop(send: Send, reply: Reply) -> Send | None:
    """The request to the address that `reply` leads to, None if it leads nowhere that this request may go.

    A request with a body follows only 307 and 308: the others would drop the body. None goes from https to http. On
    another origin, the token and every header but `_PLAIN_HEADERS` stay behind.
    """
    followed = _REDIRECTING if send.method == "GET" else _KEEPING
    location = reply.headers.get("location")
    if reply.status not in followed or not location:
        return None
    here, there = urlsplit(send.url), _split(location, send.url)
    if there is None or (here.scheme == "https" and there.scheme == "http"):
        return None
    url = there._replace(fragment="").geturl()
    if _origin(here) == _origin(there) or _is_upgrade(here, there):
        return replace(send, url=url)
    headers = {name: value for name, value in send.headers.items() if name in _PLAIN_HEADERS}
    return replace(send, url=url, headers=headers, abroad=True)


def redirect_advice(reply: Reply, url: str) -> str:
    """What to add to the error for a redirect from `url` that was not followed."""
    location = _split(reply.headers.get("location", ""), url) if reply.status in _REDIRECTING else None
    if location is None:
        return ""
    place = location._replace(query="", fragment="").geturl()
    return f"; it redirects to {place}, which may hold the right server_url"


def _split(url: str, base: str = "") -> SplitResult | None:
    """The parts of an address that can be called, None for another one."""
    try:
        parts = urlsplit(urljoin(base, url))
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2])  # whoever redirects gives nobody a name
        return plain if is_address(plain) else None
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, _port(parts)


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _is_upgrade(here: SplitResult, there: SplitResult) -> bool:
    """From http to https at the same host, both at their usual ports."""
    usual = (_port(here), _port(there)) == (80, 443)
    return usual and (here.scheme, there.scheme) == ("http", "https") and here.hostname == there.hostname
