"""Every route with methods, names, questions and bodies that it does not take."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Final

from bench.endurance.auth_model import ROUTES
from bench.endurance.hostile_kit import Input, head, send

if TYPE_CHECKING:
    from collections.abc import Iterator

_METHODS: Final = (
    *("GET", "HEAD", "OPTIONS", "TRACE", "PATCH", "POST", "PUT", "DELETE", "CONNECT", "PROPFIND", "PURGE", "LOCK"),
)
_NAMES: Final = (
    *("nobody", "a%0d%0aX-Evil:%20b", "%0a", "%0d", "%1b%5b31m", "%00", "..", ".", "%2e%2e", "%2f", "a%2fb", "a" * 65),
    *("a" * 5000, "%ff", "%C3%A9", "'%20OR%201=1--", "%", "%zz", "demo%20", "DEMO", "demo:pirate", "%E2%80%AE", "*"),
)
_TAILS: Final = ("", "/adapters", "/adapters/x", "/sleep", "/wake", "/restart", "/nothing")
_QUESTIONS: Final = (
    *("from=", "from=x", "from=2026-13-01", "from=9999-12-31T23:59:59-23:59", "from=0001-01-01T00:00:00%2B23:59"),
    *("from=2026-01-02&to=2026-01-01", "to=1e9", "to=NaN", "to=" + "9" * 5000, "from=-1", "from=2026-11-01T25:00"),
    *("by=", "by=,", "by=team,team", "by=x", "by=team;DROP", "by=" + "team," * 1000, "by=%00", "by=day%0a", "by=TEAM"),
    *("team=", "team=%00", "team=%ff", "team=" + "a" * 9000, "team=a&team=b", "team='%20OR%201=1--", "team=%0d%0aX:y"),
    *("endpoint=", "endpoint=%1b[31m", "endpoint=nobody", "endpoint=demo&endpoint=demo", "endpoint=%F0%9F%99%82"),
    *("x=1", "=", "&&&", "%", "%zz=1", "a" * 9000, "&".join(f"p{number}=1" for number in range(50)), "from", "FROM=1"),
)
_SOURCES: Final = (
    *(
        "",
        " ",
        "/",
        ".",
        "..",
        "/etc/passwd",
        "/etc/shadow",
        "/dev/null",
        "/proc/self/environ",
        "/nowhere",
        "./nowhere",
    ),
    *("/a\0b", "/a\nb", "/\x1b[31m", "/" + "x" * 4095, "/" + "x" * 4096, "/" + "x/" * 2000, "/\ud800", "file:///etc"),
    *("/\u202e", "~/x", "$HOME", "/../../../etc", "/dev/fd/0", "/proc/self/fd/1", "/dev/random", "/dev/zero"),
)
_BODIES: Final = ('{"source":1}', '{"source":null}', '{"source":[]}', '{"source":"/x","source":"/y"}', "[]", "null", "")
_MORE_BODIES: Final = ('{"Source":"/x"}', '{"source":"/x","rank":8}', '{"source":"\\ud800"}', "{", "NaN", '"/x"', "{}")
_ADAPTER: Final = b"/dedicated/v1/endpoints/demo/adapters/"


def methods() -> Iterator[Input]:
    """Every method at every route that does not take it, and HEAD, which goes where GET does."""
    places = [*ROUTES.items(), ("/", {}), ("/nothing", {}), ("*", {})]
    for (pattern, doors), method in product(places, _METHODS):
        if method not in doors:
            target = pattern.format(endpoint_id="demo", route="x").encode()
            yield Input(f"{method} {pattern}", head(method, target, b"Connection: close"))


def names() -> Iterator[Input]:
    """Endpoints and adapters that nothing is called like, and paths that are none."""
    for name, tail, method in product(_NAMES, _TAILS, ("GET", "PUT", "DELETE")):
        target = f"/dedicated/v1/endpoints/{name}{tail}".encode()
        yield Input(f"{method} {name[:20]}{tail}", head(method, target, b"Connection: close"))
    for name in _NAMES:
        yield send(f"PUT adapter {name[:20]}", b'{"source":"/nowhere"}', method="PUT", target=_ADAPTER + name.encode())
    for byte in (b"\r", b"\n", b"\x1b", b"\0", b"\x7f", b"\xff", b" ", b"\t", b'"', b"\\"):
        yield Input(f"{byte!r} in the path", head("GET", b"/heal" + byte + b"th", b"Connection: close"), may_close=True)


def questions() -> Iterator[Input]:
    """What the usage cannot be asked."""
    for text in _QUESTIONS:
        target = f"/dedicated/v1/usage?{text}".encode()
        yield Input(f"usage {text[:30]}", head("GET", target, b"Connection: close"))


def sources() -> Iterator[Input]:
    """What is no adapter."""
    written = [json.dumps({"source": source}) for source in _SOURCES]
    for text in (*written, *_BODIES, *_MORE_BODIES, json.dumps({"source": "/" + "x" * 70_000})):
        yield send(f"adapter {text[:30]}", text.encode(), method="PUT", target=_ADAPTER + b"x")
