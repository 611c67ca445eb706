"""A server whose /metrics say what a test wants, one text after the other; the last one again and again."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Page(NamedTuple):
    """What one look is answered."""

    text: str
    status: int = 200
    kind: str = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Watched:
    """Where the server is, and with which tokens it was asked."""

    url: str
    pages: list[Page]
    tokens: list[str | None] = field(default_factory=list)


@contextmanager
def serving(*pages: Page) -> Iterator[Watched]:
    """The server, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            watched.tokens.append(self.headers["authorization"])
            page = watched.pages.pop(0) if len(watched.pages) > 1 else watched.pages[0]
            body = page.text.encode()
            self.send_response(page.status if self.path == "/metrics" else 404)
            self.send_header("content-type", page.kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        watched = Watched(f"http://127.0.0.1:{server.server_port}", list(pages))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield watched
        finally:
            server.shutdown()
            thread.join()


def metrics(
    *,
    requests: int = 0,
    prompt: int = 0,
    cached: int = 0,
    completion: int = 0,
    forwards: int = 0,
    rows: int = 0,
    refused: int = 0,
    quick: int = 0,
    slow: int = 0,
    adapter: str = "-",
    state: str = "RUNNING",
) -> str:
    """The lines of one endpoint; `quick` first tokens came within 0.1 s, `slow` ones within a second."""
    place = f'endpoint="demo",adapter="{adapter}"'
    first = "friendli_time_to_first_token_seconds_bucket"
    return f"""
friendli_engine_version{{version="9.9"}} 1.0
process_resident_memory_bytes 1.048576e+08
friendli_endpoint_state{{endpoint="demo",state="RUNNING"}} {float(state == "RUNNING")}
friendli_endpoint_state{{endpoint="demo",state="FAILED"}} {float(state == "FAILED")}
friendli_requests_running{{{place}}} 3
friendli_requests_waiting{{{place}}} 2
friendli_request_outcomes_total{{{place},outcome="finished"}} {requests}
friendli_tokens_total{{{place},kind="prompt"}} {prompt}
friendli_tokens_total{{{place},kind="cached"}} {cached}
friendli_tokens_total{{{place},kind="completion"}} {completion}
friendli_engine_forwards_total{{endpoint="demo"}} {forwards}
friendli_engine_rows_total{{endpoint="demo"}} {rows}
friendli_kv_blocks{{endpoint="demo"}} 100
friendli_kv_blocks_used{{endpoint="demo"}} 50
friendli_kv_blocks_cached{{endpoint="demo"}} 25
friendli_refusals_total{{endpoint="demo",reason="overloaded"}} {refused}
friendli_refusals_total{{endpoint="-",reason="authentication_error"}} {refused}
{first}{{{place},le="0.1"}} {quick}
{first}{{{place},le="1.0"}} {quick + slow}
{first}{{{place},le="+Inf"}} {quick + slow}
"""
