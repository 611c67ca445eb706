"""Every way to ask that the authentication must judge, as raw requests, with the status that each deserves.

Nothing here needs pytest: a bench prints the same cases. Put `SETTINGS` into a server's settings and `WANTED` into its
store (`texts_of`), then send `case.request` of each of `cases(texts)` and compare the status with `case.expected`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import TYPE_CHECKING

from auth_model import CLOSED, ROUTES, Credential, Grant, Team, expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from friendli_endpoint.access import TokenStore

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
SETTINGS = {"tokens": "flp_user", "admin_tokens": "flp_admin"}
BODY = json.dumps({"model": "demo", "prompt": "x", "max_tokens": 1}).encode()


@dataclass(frozen=True)
class Wanted:
    """A token to be created; one that is not `good` is revoked, or has expired."""

    grant: Grant
    good: bool = True
    expires: int | None = None
    revoked: bool = False


COMPLETE = Grant(frozenset({"complete"}))
ADMIN = Grant(frozenset({"admin"}), teams=None)
WANTED = {
    "complete": Wanted(COMPLETE),
    "metrics": Wanted(Grant(frozenset({"metrics"}))),
    "admin": Wanted(ADMIN),
    "complete, metrics": Wanted(Grant(frozenset({"complete", "metrics"}))),
    "of two teams": Wanted(replace(COMPLETE, teams=("a", "b"))),
    "admin of a team": Wanted(replace(ADMIN, teams=("a",))),
    "for this endpoint": Wanted(replace(COMPLETE, endpoint="demo")),
    "for another endpoint": Wanted(replace(COMPLETE, endpoint="other")),
    "admin of another endpoint": Wanted(replace(ADMIN, endpoint="other")),
    "expires later": Wanted(COMPLETE, expires=4_000_000_000),
    "expired": Wanted(ADMIN, good=False, expires=1_000_000_000),
    "revoked": Wanted(ADMIN, good=False, revoked=True),
}


@dataclass(frozen=True)
class Case:
    """A raw request and the status that it has to be answered with."""

    name: str
    request: bytes
    expected: int


def bearer(text: str) -> bytes:
    return b"Authorization: Bearer " + text.encode("latin-1")


def credentials(texts: Mapping[str, str]) -> list[Credential]:
    """Every state that a credential can be in; `texts` are those of `WANTED`."""
    user, admin = SETTINGS["tokens"], SETTINGS["admin_tokens"]
    known = [
        Credential("user of the settings", (bearer(user),), COMPLETE),
        Credential("admin of the settings", (bearer(admin),), ADMIN),
        *(Credential(name, (bearer(texts[name]),), it.grant if it.good else None) for name, it in WANTED.items()),
    ]
    good = texts["admin"]
    odd = [
        Credential("lower case", (b"authorization: bearer " + good.encode(),), ADMIN),
        Credential("more spaces", (b"AUTHORIZATION:   BEARER   " + good.encode() + b"  ",), ADMIN),
        Credential("none"),
        Credential("empty", (b"Authorization:",)),
        Credential("scheme alone", (b"Authorization: Bearer",)),
        Credential("scheme and spaces", (b"Authorization: Bearer   ",)),
        Credential("token alone", (b"Authorization: " + good.encode(),)),
        Credential("other scheme", (b"Authorization: Basic " + good.encode(),)),
        Credential("no space", (b"Authorization: Bearer" + good.encode(),)),
        Credential("prefix", (bearer(good[:12]),)),
        Credential("other secret", (bearer(good[:13] + "x" * 43),)),
        Credential("cut", (bearer(good[:-1]),)),
        Credential("longer", (bearer(good + "A"),)),
        Credential("swapped case", (bearer(good.swapcase()),)),
        Credential("hash of the settings", (bearer("sha256:" + "0" * 64),)),
        Credential("quotes", (bearer(f'"{good}"'),)),
        Credential("apostrophes", (bearer(f"'{good}'"),)),
        Credential("SQL", (bearer("flp_' OR 1=1 --"),)),
        Credential("two tokens", (bearer(f"{good} {good}"),)),
        Credential("a list", (bearer(f"{good}, Bearer {good}"),)),
        Credential("twice", (bearer(good), bearer(good))),
        Credential("bad, then good", (bearer("x"), bearer(good))),
        Credential("tab", (bearer(f"{good[:20]}\t{good[20:]}"),)),
        Credential("not ASCII", (bearer(good[:-1] + "\xe9"),)),
        Credential("UTF-8", (b"Authorization: Bearer " + "flp_größe".encode(),)),
        Credential("NUL", (bearer(f"{good}\0"),), status=400),
        Credential("escape", (bearer(f"\x1b[31m{good}"),), status=400),
        Credential("folded", (b"Authorization: Bearer\r\n " + good.encode(),), status=400),
        Credential("CR", (bearer(f"x\r{good}"),), status=400),
        Credential("LF", (bearer(f"x\nAuthorization: Bearer {good}"),), status=400),
        Credential("space before the colon", (b"Authorization : Bearer " + good.encode(),), status=400),
        Credential("in the proxy's header", (b"Proxy-Authorization: Bearer " + good.encode(),)),
        Credential("in a cookie", (b"Cookie: Authorization=Bearer " + good.encode(),)),
        Credential("in another header", (b"X-Api-Key: " + good.encode(),)),
        Credential("10 kB", (bearer("x" * 10_000),)),
        Credential("20 kB", (bearer("x" * 20_000),), status=431),
        Credential("1 MB", (bearer("x" * 1_000_000),), status=CLOSED),
    ]
    return known + odd


TEAMS = (
    Team("default", (b"X-Friendli-Team: default",), "default"),
    Team("a", (b"x-friendli-team: a",), "a"),
    Team("b", (b"X-FRIENDLI-TEAM: b",), "b"),
    Team("other", (b"X-Friendli-Team: other",), "other"),
    Team("empty", (b"X-Friendli-Team:",), status=422),
    Team("no name", (b"X-Friendli-Team: a b",), status=422),
    Team("not ASCII", (b"X-Friendli-Team: \xe9",), status=422),
    Team("a path", (b"X-Friendli-Team: ../a",), status=422),
    Team("too long", (b"X-Friendli-Team: " + b"a" * 65,), status=422),
    Team("twice", (b"X-Friendli-Team: a", b"X-Friendli-Team: a"), status=422),
)
"""Ways to name a team; naming none is left to the other cases."""


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


def texts_of(store: TokenStore) -> dict[str, str]:
    """The tokens of `WANTED`, created in `store`."""
    texts = {}
    for name, wanted in WANTED.items():
        grant = wanted.grant
        texts[name], token = store.create(
            scopes=grant.scopes,
            teams=grant.teams or (),
            endpoints=(grant.endpoint,) if grant.endpoint else (),
            expires=wanted.expires,
        )
        if wanted.revoked:
            store.revoke(token.prefix)
    return texts


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
