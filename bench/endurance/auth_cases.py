"""Every way to ask that the authentication must judge, as raw requests, with the status that each deserves.

Put `SETTINGS` into a server's settings and `texts_of` into its store (auth_credentials.py), then `misjudged` says which
of `cases` are answered otherwise.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.endurance.auth_credentials import TEAMS, credentials
from bench.endurance.auth_model import CLOSED, ROUTES, Credential, Team, expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
BODY = json.dumps({"model": "demo", "prompt": "x", "max_tokens": 1}).encode()


@dataclass(frozen=True)
class Case:
    """A raw request and the status that it has to be answered with."""

    name: str
    request: bytes
    expected: int


TARGETS: dict[str, Callable[[bytes], bytes]] = {
    "two slashes": lambda path: b"/" + path,
    "a name after two slashes": lambda path: b"//evil" + path,
    "two slashes within": lambda path: path.replace(b"/v1", b"//v1"),
    "a dot": lambda path: b"/." + path,
    "down and up": lambda path: b"/health/.." + path,
    "down and up, encoded": lambda path: b"/health/%2e%2e" + path,
    "down and up, all encoded": lambda path: b"/health%2f%2e%2e" + path,
    "a dot at the end": lambda path: path + b"/.",
    "up at the end": lambda path: path + b"/../../health",
    "slash at the end": lambda path: path + b"/",
    "first letter encoded": lambda path: b"/%%%02x" % path[1] + path[2:],
    "all letters encoded": lambda path: b"".join(b"/" if byte == 0x2F else b"%%%02x" % byte for byte in path),
    "slashes encoded": lambda path: b"/" + path[1:].replace(b"/", b"%2F"),
    "encoded twice": lambda path: b"/%%25%02x" % path[1] + path[2:],
    "backslashes": lambda path: b"/" + path[1:].replace(b"/", b"\\"),
    "upper case": lambda path: path.upper(),
    "a parameter": lambda path: path + b";/health",
    "a query": lambda path: path + b"?path=/health",
    "a fragment": lambda path: path + b"#/health",
    "an encoded query": lambda path: path + b"%3f/health",
    "NUL": lambda path: path + b"\0",
    "NUL, encoded": lambda path: path + b"%00",
    "tab": lambda path: path + b"\t",
    "tab, encoded": lambda path: path + b"%09",
    "space, encoded": lambda path: path + b"%20",
    "line break, encoded": lambda path: path + b"%0a",
    "two line breaks, encoded": lambda path: path + b"%0a%0a",
    "CR LF, encoded": lambda path: path + b"%0d%0a",
    "not ASCII": lambda path: path + b"\xc3\xa9",
    "overlong slash": lambda path: b"/%c0%af" + path,
    "another slash of Unicode": lambda path: path.replace(b"/v1", b"%e2%88%95v1"),
    "a whole URL": lambda path: b"http://evil.example" + path,
    "a whole URL whose host is a path": lambda path: b"https://health" + path,
    "a whole URL without a path": lambda path: b"http://evil.example",
    "no slash": lambda path: path[1:],
    "an asterisk": lambda path: b"*",
}

HOSTS: dict[str, tuple[bytes, ...]] = {
    "no Host": (),
    "two Hosts": (b"Host: localhost", b"Host: evil.example"),
    **{
        f"Host {host!r}": (b"Host: " + host,)
        for host in (
            b"",
            b"evil.example",
            b"127.0.0.1/health",
            b"/health",
            b"localhost#/health",
            b"localhost?/health",
            b"evil@health",
            b"localhost:99999",
            b"[::1",
            b"x" * 1000,
        )
    },
}
"""None of them changes who may: the server has tokens, and goes by none of these."""

HEADERS = {
    line.split(b":")[0].decode() + " header": (b"Host: localhost", line)
    for line in (
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Host: localhost",
        b"X-Forwarded-Prefix: /health",
        b"X-Forwarded-Uri: /health",
        b"X-Forwarded-User: admin",
        b"Forwarded: for=127.0.0.1;host=localhost",
        b"X-Real-IP: 127.0.0.1",
        b"X-Original-URL: /health",
        b"X-Rewrite-URL: /health",
        b"X-HTTP-Method-Override: GET",
        b"X-HTTP-Method: GET",
        b"X-Request-Id: admin",
        b"Origin: null",
        b"Referer: http://localhost/health",
        b"Upgrade: h2c",
        b"Content-Encoding: identity",
    )
}
_HOST = (b"Host: localhost",)
_NO_TEAM = Team()


def cases(texts: Mapping[str, str]) -> Iterator[Case]:
    """All of them: each route with each method and credential, then teams, targets and hosts."""
    everybody = credentials(texts)
    some = [who for who in everybody if who.name in ("none", "complete", "metrics", "admin", "revoked")]
    paths = [_path(pattern) for pattern in ROUTES]
    for path, method, who in product([*paths, b"/", b"/nothing", b"/dedicated/v1"], METHODS, everybody):
        yield _case(method, path, who)
    own = [(_path(pattern), method) for pattern, doors in ROUTES.items() for method in doors]
    for (path, method), who, team in product(own, everybody, TEAMS):
        if who.grant:
            yield _case(method, path, who, team=team)
    for (path, method), who, (trick, twist) in product(own, some, TARGETS.items()):
        yield _case(method, twist(path), who, trick)
    for (path, method), who, (trick, lines) in product(own, some, chain(HOSTS.items(), HEADERS.items())):
        yield _case(method, path, who, trick, host=lines)


def _path(pattern: str) -> bytes:
    return pattern.format(endpoint_id="demo", route="pirate").encode()


def _case(
    method: str,
    target: bytes,
    who: Credential,
    trick: str = "",
    *,
    team: Team = _NO_TEAM,
    host: Sequence[bytes] = _HOST,
) -> Case:
    body = BODY if method in ("POST", "PUT", "PATCH") else b""
    lines = [
        f"{method} ".encode() + target + b" HTTP/1.1",
        *host,
        *who.lines,
        *team.lines,
        b"Content-Type: application/json",
        b"Connection: close",
        f"Content-Length: {len(body)}".encode(),
    ]
    name = f"{method} {target!r}, {who.name}, team {team.name}, {trick or 'plain'}"
    return Case(name, b"\r\n".join([*lines, b"", body]), expected(method, target, who, team))


async def misjudged(url: str, some: Iterable[Case]) -> list[tuple[str, int, int]]:
    """The cases that are answered otherwise than expected: name, expected and found.

    One after the other: whether an endpoint may sleep depends on what else it does.
    """
    address = urlsplit(url)
    wrong = []
    for case in some:
        status = await _status(address.hostname, address.port, case.request)
        if status != case.expected:
            wrong.append((case.name, case.expected, status))
    return wrong


async def _status(host: str | None, port: int | None, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    line = b""
    with suppress(ConnectionError):
        writer.write(request)
        line = await reader.readline()
    writer.close()
    return int(line.split()[1]) if line else CLOSED
