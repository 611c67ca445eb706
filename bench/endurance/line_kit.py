"""HTTP over single connections: what has arrived stays readable when a connection breaks, and leaving is ours to do."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

PATH: Final = "/dedicated/v1/completions"
_END_OF_HEAD: Final = b"\r\n\r\n"
_END_OF_STREAM: Final = b"\r\n0\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class CutError(Exception):
    """The connection ended before the reply did."""


@dataclass(frozen=True)
class Reply:
    """A whole reply; `done` is when its last byte came, in seconds of `time.perf_counter`."""

    status: int
    headers: dict[str, str]
    body: bytes
    done: float


class Line(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self.received = bytearray()
        """What has come of the current reply."""
        self.ended = False
        self.arrived = 0.0
        """When something last came."""
        self.transport: asyncio.Transport
        self._news = asyncio.Event()

    @classmethod
    async def open(cls, url: str, sock: socket.socket | None = None) -> Self:
        """Connected to the server at `url`, or over `sock`, which is connected. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        if sock is not None:
            return (await loop.create_connection(cls, sock=sock))[1]
        place = urlsplit(url)
        return (await loop.create_connection(cls, place.hostname or "", place.port or 80))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.arrived = time.perf_counter()
        self._news.set()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._news.set()

    def send(self, request: bytes) -> None:
        """Begin a request; what came of the last one is forgotten."""
        self.received.clear()
        self.transport.write(request)

    async def more(self) -> None:
        """Wait until something has come that was not there before, or the end."""
        self._news.clear()
        if not self.ended:
            await self._news.wait()

    async def until(self, text: bytes) -> None:
        """Wait until `text` is in what has come. Raises `CutError`."""
        while text not in self.received:
            if self.ended:
                raise CutError(f"ended before {text!r}: {bytes(self.received[-200:])!r}")
            await self.more()

    async def end(self) -> None:
        """Wait until the server has ended the connection."""
        while not self.ended:
            await self.more()

    async def reply(self) -> Reply:
        """The whole reply. Raises `CutError`."""
        await self.until(_END_OF_HEAD)
        head, _, _ = bytes(self.received).partition(_END_OF_HEAD)
        length = _LENGTH.search(head)
        start = len(head) + len(_END_OF_HEAD)
        while not self._whole(start, length):
            if self.ended:
                raise CutError("the reply was cut")
            await self.more()
        body = bytes(self.received[start:])
        return Reply(int(head[9:12]), _headers(head), body if length else _joined(body), self.arrived)

    def _whole(self, start: int, length: re.Match[bytes] | None) -> bool:
        if length is not None:
            return len(self.received) - start >= int(length[1])
        return self.received.endswith(_END_OF_STREAM, start - 2)

    def abort(self) -> None:
        """Leave with a reset."""
        self.transport.abort()

    def close(self) -> None:
        """Leave in order."""
        self.transport.close()


class Pool:
    """Connections that are kept between requests."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: deque[Line] = deque()

    async def ask(self, request: bytes) -> tuple[Reply, float]:
        """The reply, and when the request was sent. Raises `CutError` and `OSError`."""
        line = await self._take()
        sent = time.perf_counter()
        try:
            line.send(request)
            reply = await line.reply()
        except BaseException:
            line.abort()
            raise
        self._idle.append(line)
        return reply, sent

    async def _take(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if not line.ended:
                return line
            line.close()
        return await Line.open(self._url)

    def close(self) -> None:
        """Leave all of them."""
        while self._idle:
            self._idle.pop().close()


def post(body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> bytes:
    """A completion request."""
    content = json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(content))}
    lines |= headers or {}
    return f"POST {PATH} HTTP/1.1\r\n{_written(lines)}\r\n".encode() + content


def get(path: str) -> bytes:
    """A request for what needs no token."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def token_events(received: bytes) -> int:
    """How many tokens the events of a stream have, whole or not."""
    return sum(b'"token":' in event for event in received.split(b"\n\n")[:-1])


def _written(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def _joined(chunked: bytes) -> bytes:
    """What is in the chunks of a body."""
    parts: list[bytes] = []
    while True:
        size, _, chunked = chunked.partition(b"\r\n")
        if not (count := int(size, 16)):
            return b"".join(parts)
        parts.append(chunked[:count])
        chunked = chunked[count + 2 :]
