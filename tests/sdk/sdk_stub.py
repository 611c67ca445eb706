"""A loopback HTTP server that does what a test's script says, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


class Close:
    """Ends the connection cleanly."""


class Reset:
    """Ends the connection with a TCP reset."""


@dataclass
class Wait:
    """Holds the answer until the event is set."""

    event: threading.Event


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; `connection` counts the connections."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> dict:
        return json.loads(self.body)


Step = bytes | type[Close] | type[Reset] | Wait
Script = Callable[[Asked], Iterable[Step]]


@dataclass
class Stub:
    url: str
    asked: list[Asked] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)  # a client hung up


@contextmanager
def serving(script: Script) -> Iterator[Stub]:
    """A server at `Stub.url` for as long as the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    stub = Stub(f"http://127.0.0.1:{listener.getsockname()[1]}")
    threads: list[threading.Thread] = []
    live: list[socket.socket] = []
    accepting = threading.Thread(target=_accept, args=(listener, stub, script, threads, live))
    accepting.start()
    try:
        yield stub
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for sock in live:
            _hang_up(sock)
        for thread in threads:
            thread.join()


def _accept(listener, stub, script, threads, live) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        live.append(sock)
        thread = threading.Thread(target=_serve, args=(sock, stub, script, len(threads)))
        threads.append(thread)
        thread.start()


def _serve(sock: socket.socket, stub: Stub, script: Script, connection: int) -> None:
    with sock, sock.makefile("rb") as reader:
        try:
            while (asked := _read(reader, connection)) is not None:
                stub.asked.append(asked)
                for step in script(asked):
                    if not _perform(sock, step):
                        return
        except OSError:
            pass
        stub.gone.set()


def _perform(sock: socket.socket, step: Step) -> bool:
    if isinstance(step, bytes):
        sock.sendall(step)
    elif isinstance(step, Wait):
        step.event.wait(20)
    else:
        if step is Reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    return True


def _read(reader, connection: int) -> Asked | None:
    line = reader.readline()
    if not line:
        return None
    headers: dict[str, str] = {}
    while (header := reader.readline().strip()) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Asked(line.split()[1].decode(), headers, body, connection)


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


RESULT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "model": "demo",
    "choices": [{"index": 0, "text": "Hello you", "seed": 7, "finish_reason": "length", "tokens": [1, 2]}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}


def answer(body: object, status: int = 200, **headers: str) -> bytes:
    """A whole JSON answer; `_` in header names stands for `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"content_type": "application/json", "content_length": str(len(content)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"x-request-id: req-7\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def chunk(content: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def data(value: object) -> bytes:
    """One event."""
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def second(**parts: object) -> bytes:
    """One event of the second generation's shape."""
    return data({"id": "cmpl-1", "object": "text_completion", "created": 1, "choices": [], **parts})


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
SECOND = [
    second(choices=[{"index": 0, "text": "Hello", "token": 1, "finish_reason": None, "logprobs": None}]),
    second(choices=[{"index": 0, "text": " you", "token": 2, "finish_reason": None, "logprobs": None}]),
    second(choices=[{"index": 0, "text": "", "finish_reason": "length", "seed": 7}]),
    second(usage=USAGE),
    data(b"[DONE]"),
]
FIRST = [
    data({"event": "token_sampled", "index": 0, "text": "Hello", "token": 1}),
    data({"event": "token_sampled", "index": 0, "text": " you", "token": 2}),
    data(
        {
            "event": "complete",
            "choices": [{"index": 0, "seed": 7, "text": "Hello you", "tokens": [1, 2]}],
            "usage": USAGE,
        }
    ),
    data(b"[DONE]"),
]


def streamed(events: Iterable[bytes]) -> list[bytes]:
    """A whole stream, one chunk per event."""
    return [STREAM_HEAD, *map(chunk, events), LAST_CHUNK]
