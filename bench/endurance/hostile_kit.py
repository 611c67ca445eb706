"""A bad input as the bytes that are sent, and how it is answered."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH: Final = b"/dedicated/v1/completions"
JSON: Final = b"Content-Type: application/json"
CLOSED: Final = 0
_TIMEOUT_SECONDS: Final = 60
GOOD: Final = {"model": '"demo"', "prompt": '"Hi"', "max_tokens": "2", "seed": "1", "temperature": "0"}
"""Fields of a good body, each as it is written."""


@dataclass(frozen=True)
class Input:
    """A whole request. One that `may_close` need not be answered: the server can only end the connection."""

    name: str
    request: bytes
    may_close: bool = False


@dataclass(frozen=True)
class Outcome:
    """How an input was answered; a status of `CLOSED` stands for the end of the connection, None for silence."""

    asked: Input
    status: int | None
    body: bytes
    seconds: float

    @property
    def good(self) -> bool:
        """Whether it was clear, and no fault of the server's."""
        if self.status is None or b'"internal_error"' in self.body:
            return False
        return 200 <= self.status < 500 or (self.status == CLOSED and self.asked.may_close)


def head(method: str, target: bytes, *lines: bytes) -> bytes:
    """A request without a body."""
    return b"\r\n".join([method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost", *lines, b"", b""])


def send(name: str, content: bytes, *lines: bytes, method: str = "POST", target: bytes = PATH) -> Input:
    """An input whose body is `content`; `lines` of its head come instead of the content type, if there are any."""
    size = b"Content-Length: %d" % len(content)
    return Input(name, head(method, target, *(lines or (JSON,)), b"Connection: close", size) + content)


def fields(name: str, **written: str) -> Input:
    """A good body but for what is `written`, as JSON; "" leaves a field out."""
    members = {key: text for key, text in (GOOD | written).items() if text}
    return send(name, ("{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}").encode())


def format_of(name: str, wanted: object) -> Input:
    """A good body with this `response_format`."""
    return fields(name, response_format=json.dumps(wanted))


async def answered(url: str, asked: Input) -> Outcome:
    """What comes back, to the end of the connection."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reply = await _exchange(url, asked.request)
    except TimeoutError:
        return Outcome(asked, None, b"", time.monotonic() - began)
    status = int(reply[9:12]) if reply.startswith(b"HTTP/1.1 ") else CLOSED
    return Outcome(asked, status, reply.partition(b"\r\n\r\n")[2], time.monotonic() - began)


async def _exchange(url: str, request: bytes) -> bytes:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    reply = bytearray()
    with suppress(ConnectionError):  # the server may refuse before all is sent
        writer.write(request)
        while more := await reader.read(65536):
            reply += more
    writer.close()
    return bytes(reply)


def distinct(inputs: Iterable[Input]) -> list[Input]:
    """Each of them once, by what is sent."""
    return list({each.request: each for each in inputs}.values())
