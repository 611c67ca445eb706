"""A server on loopback that answers as a test's script says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Asked(NamedTuple):
    """One request as it came; `body` is None if it had none."""

    method: str
    path: str
    token: str | None
    body: object


class Answer(NamedTuple):
    """A status and a JSON body; status 0 hangs up instead, and with `hold` nothing comes before it is set."""

    status: int
    body: object = None
    hold: threading.Event | None = None


@dataclass
class Scripted:
    """Where the server is, what it answers next, and what it was asked."""

    url: str
    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)  # a request is there


@contextmanager
def scripted(*answers: Answer) -> Iterator[Scripted]:
    """A server that gives each request the next of `answers`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            asked = Asked(self.command, self.path, self.headers["authorization"], json.loads(body) if body else None)
            told.asked.append(asked)
            told.arrived.set()
            self._give(told.answers.pop(0))

        do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are the library's

        def _give(self, answer: Answer) -> None:
            if answer.hold is not None:
                answer.hold.wait(30)
            self.close_connection = True
            if answer.status:
                content = b"" if answer.body is None else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                self.send_header("content-length", str(len(content)))
                if content:
                    self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told = Scripted(f"http://127.0.0.1:{server.server_port}", list(answers))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
