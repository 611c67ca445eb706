"""Bodies that are no good JSON object, and heads that are no good HTTP."""

from __future__ import annotations

import gzip
import random
from itertools import product
from typing import TYPE_CHECKING, Final

from bench.endurance.hostile_kit import JSON, PATH, Input, head, send

if TYPE_CHECKING:
    from collections.abc import Iterator

_BODY: Final = b'{"model":"demo","prompt":"Hi","max_tokens":2,"stop":["x"]}'
_DEPTHS: Final = (31, 32, 33, 64, 1000, 60_000)
_OPENING: Final = {"lists": (b"[", b"]"), "objects": (b'{"a":', b"}"), "mixed": (b'[{"a":', b"}]")}
_BEHIND: Final = (
    b"x",
    b"{}",
    b",",
    b"\0",
    b"]",
    b"}",
    b'"',
    b"\xff",
    b"null",
    b"//",
    b"\x1b[2J",
    b"\r\n\r\nGET / HTTP/1.1",
)
_TYPES: Final = (
    *(b"", b"text/plain", b"application/xml", b"application/jsonx", b"application/x-www-form-urlencoded", b"*/*"),
    *(b"multipart/form-data; boundary=x", b"application/json; charset=utf-16", b"application/json;" + b"x" * 9000),
    *(b"APPLICATION/JSON", b"text/json", b"application/json, text/plain", b"\xff\xfe", b"application/json\x0b"),
)
_CODINGS: Final = (b"gzip", b"br", b"deflate", b"zstd", b"identity, gzip", b"x", b"", b"GZIP", b"\xff", b"compress")
_SIZES: Final = (
    b"",
    b"-1",
    b"+5",
    b"1e3",
    b"0x10",
    b"5, 6",
    b"9" * 30,
    b"5 5",
    b"abc",
    b"4194305",
    b"1",
    b"57",
    b"\xb2",
)
_CHUNKS: Final = (
    b"x\r\n",
    b"-1\r\n",
    b"ffffffffffffffffff\r\n",
    b"5;x=" + b"y" * 9000,
    b"\r\n",
    b"5\r\nabc",
    b"0\r\nX: y",
)
_VALUES: Final = (
    *(b"", b" ", b"a b", b"\xff\xfe", b"\x1b[31m", b"a\tb", b"x" * 255, b"x" * 256, b"x" * 9000, b"\x7f"),
    *(
        b"'; DROP TABLE usage; --",
        b"../../etc/passwd",
        b"%0d%0a",
        b"<script>",
        b"${jndi:ldap://x}",
        "ü".encode(),
        b"{}",
    ),
)
_BREAKS: Final = (b"a\rb", b"a\nb", b"a\r\nX-Evil: b", b"a\0b", b"a\x1bb", b"\r\n\r\nGET /health HTTP/1.1", b"a\x08b")
_HEADERS: Final = (b"X-Request-Id", b"Idempotency-Key", b"X-Friendli-Team", b"Authorization", b"User-Agent", b"Accept")
_STARTS: Final = (
    *(b"\0" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n"),
    *(
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST  / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\n\r\n",
    ),
    *(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"GET / HTTP/1.1\r\nA b: c\r\n\r\n"),
    *(b"get / http/1.1\r\n\r\n", b"GET / HTTP/1.1\n\n", b"SSH-2.0-x\r\n", b"*1\r\n$4\r\nPING\r\n", b"\xff" * 70_000),
)


def bodies() -> Iterator[Input]:
    """What is not JSON, or no object, or too deep."""
    for content in (
        b"",
        b" ",
        b'"x"',
        b"[]",
        b"1",
        b"null",
        b"true",
        b"{}",
        b"{",
        b"}",
        b"{]",
        b"NaN",
        b"\0",
        b"\xef\xbb\xbf{}",
    ):
        yield send(f"body {content!r}", content)
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "cp037"):
        yield send(coding, _BODY.decode().replace("Hi", "ü").encode(coding))
    yield send("gzip", gzip.compress(_BODY, mtime=0))
    for (name, (first, last)), depth in product(_OPENING.items(), _DEPTHS):
        yield send(f"{depth} {name}, closed", b'{"model":' + first * depth + b"1" + last * depth + b"}")
        yield send(f"{depth} {name}, open", first * depth)
    for behind in _BEHIND:
        yield send(f"{behind!r} behind", _BODY + behind)
        yield send(f"{behind!r} before", behind + _BODY)
    for size in (10_001, 10**6):
        yield send(f"{size} lists", b'{"model":[' + b"[]," * size + b"[]]}")
    for count in (1_001, 10**5):
        yield send(f"{count} keys", b"{" + b",".join(b'"k%d":1' % number for number in range(count)) + b"}")
    yield send("5 MiB", b'{"model":"' + b"x" * 5 * 2**20 + b'"}')


def broken() -> Iterator[Input]:
    """A good body, cut or with a byte changed at each place, and no sense at all."""
    for place in range(len(_BODY)):
        yield send(f"cut at {place}", _BODY[:place])
        for byte in (0x00, 0x22, 0x7B, 0x80, 0xFF):
            yield send(f"{byte:#x} at {place}", _BODY[:place] + bytes([byte]) + _BODY[place + 1 :])
    rng = random.Random(1)  # noqa: S311 - the same every time
    for number in range(100):
        yield send(f"random bytes {number}", rng.randbytes(rng.randint(1, 400)))


def heads() -> Iterator[Input]:
    """Headers that say what is not so, or what nobody can read."""
    for kind in _TYPES:
        yield send(f"type {kind[:30]!r}", _BODY, b"Content-Type: " + kind)
    for coding in _CODINGS:
        yield send(f"coding {coding!r}", _BODY, JSON, b"Content-Encoding: " + coding)
    for size in _SIZES:
        yield _raw(f"length {size!r}", JSON, b"Content-Length: " + size, content=_BODY)
    for chunk in _CHUNKS:
        yield _raw(f"chunk {chunk[:20]!r}", JSON, b"Transfer-Encoding: chunked", content=chunk + b"\r\n0\r\n\r\n")
    yield _raw("length and chunks", JSON, b"Content-Length: 5", b"Transfer-Encoding: chunked", content=b"0\r\n\r\n")
    for name, value in product(_HEADERS, _VALUES):
        yield send(f"{name!r} {value[:20]!r}", _BODY, JSON, name + b": " + value)
        yield send(f"{name!r} {value[:20]!r} twice", _BODY, JSON, name + b": " + value, name + b": " + value)
    for name, value in product(_HEADERS, _BREAKS):
        yield _raw(f"{name!r} {value!r}", JSON, name + b": " + value, b"Content-Length: 2", content=b"{}")
    for count in (90, 101, 1000, 20_000):
        yield _raw(f"{count} headers", *(b"X-%d: y" % number for number in range(count)), content=b"")
    for length in (15_000, 17_000, 60_000, 70_000, 10**6):
        yield _raw(f"a header of {length}", b"X-Long: " + b"y" * length, content=b"")
    for start in _STARTS:
        yield Input(f"start {start[:20]!r}", start + b"\r\n\r\n", may_close=True)


def twins() -> Iterator[tuple[Input, Input]]:
    """Two of the same name, to be live at once; each has to get its own answer."""
    for name in (b"same", b"req-" + b"0" * 32, b"x" * 128, b"a b", b"\xff"):
        mark = b"X-Request-Id: " + name
        yield send(f"{name[:8]!r} one", _BODY, JSON, mark), send(f"{name[:8]!r} two", _BODY + b" ", JSON, mark)


def _raw(name: str, *lines: bytes, content: bytes) -> Input:
    return Input(name, head("POST", PATH, *lines, b"Connection: close") + content, may_close=True)
