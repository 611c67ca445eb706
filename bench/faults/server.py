"""A loopback HTTP server that misbehaves on purpose: each request is answered by the steps of a script.

    with serving(script) as server:  # on a free port, one thread for each connection
        call(server.url)

A script sees the request and how often its prompt has come, and yields bytes to send and what else should happen.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from functools import cached_property
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader

LONGEST_STALL = 60.0
_BACKLOG = 1024


class Close:
    """End the connection cleanly."""


class Reset:
    """End the connection with a TCP reset, once the client's side has all that was sent."""


class Stall:
    """Say nothing more until the client hangs up."""


@dataclass(frozen=True)
class Pause:
    """Say nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Asked:
    """One request. `attempt` counts from 0 the requests with its prompt; `at` is when it came, in Unix time."""

    headers: dict[str, str]
    content: bytes
    attempt: int
    at: float

    @cached_property
    def body(self) -> dict[str, object]:
        return json.loads(self.content)

    @property
    def prompt(self) -> str:
        return str(self.body["prompt"])


Step: TypeAlias = bytes | Pause | type[Close] | type[Reset] | type[Stall]
Script: TypeAlias = "Callable[[Asked], Iterable[Step]]"


@dataclass
class Server:
    """A running server and what it counted."""

    url: str
    requests: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _live: set[socket.socket] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def accept(self, listener: socket.socket, script: Script) -> None:
        """Serve every connection until the listener is shut."""
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock, script), daemon=True)
            with self.lock:
                self._live.add(sock)
                self._threads = [one for one in self._threads if one.is_alive()]
                self._threads.append(thread)
            thread.start()

    def hang_up(self) -> None:
        """End every connection and wait for its thread."""
        with self.lock:
            live, threads = list(self._live), self._threads
        for sock in live:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with suppress(OSError), sock, sock.makefile("rb") as reader:
                while (asked := self._read(reader)) is not None and _answer(sock, script(asked)):
                    pass
        finally:
            with self.lock:
                self._live.discard(sock)

    def _read(self, reader: BufferedReader) -> Asked | None:
        if not reader.readline():
            return None
        at = time.time()
        headers = _headers(reader)
        content = reader.read(int(headers.get("content-length", "0")))
        asked = Asked(headers, content, 0, at)
        with self.lock:
            self.requests += 1
            attempt = self.attempts[asked.prompt]
            self.attempts[asked.prompt] += 1
        return Asked(headers, content, attempt, at)


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """A server that lives as long as the block."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
    accepting = threading.Thread(target=server.accept, args=(listener, script), daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        server.hang_up()


@contextmanager
def refusing() -> Iterator[str]:
    """An address where connections are refused for as long as the block lasts."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}"


def _headers(reader: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _answer(sock: socket.socket, steps: Iterable[Step]) -> bool:
    """Perform the steps; whether the connection goes on."""
    for step in steps:
        if isinstance(step, bytes):
            sock.sendall(step)
        elif isinstance(step, Pause):
            time.sleep(step.seconds)
        elif step is Stall:
            _wait_for_hang_up(sock)
            return False
        else:
            if step is Reset:
                _let_arrive(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
    return True


def _wait_for_hang_up(sock: socket.socket) -> None:
    sock.settimeout(LONGEST_STALL)
    while sock.recv(1 << 16):
        pass


def _let_arrive(sock: socket.socket) -> None:
    """A reset overtakes what was not acknowledged yet; then nobody could say what the client has seen."""
    while struct.unpack("i", ioctl(sock, TIOCOUTQ, b"\0\0\0\0"))[0]:
        time.sleep(0.0005)
