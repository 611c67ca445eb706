"""A loopback server that answers completions from memory: `python -m bench.clients.flood`, which prints its address.

A stream has as many token events as `max_tokens` asks for, each an HTTP chunk of its own, written without a pause, in
the shape of the contract (with one more field, `model`, for the OpenAI client). Connections are kept.
"""

from __future__ import annotations

import json
import socketserver
from functools import cache
from itertools import cycle, islice

WORDS = (
    " The",
    " quiet",
    " harbour",
    " wakes",
    ",",
    " and",
    " seven",
    " boats",
    " leave",
    " befor",
    "e",
    " dawn",
    ".\n",
)
WRITE = 1 << 16


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while self.rfile.readline():
            body = json.loads(self.rfile.read(self._content_length()))
            reply = streamed(body["max_tokens"], "stream_options" in body) if body.get("stream") else whole()
            for begin in range(0, len(reply), WRITE):
                self.wfile.write(reply[begin : begin + WRITE])

    def _content_length(self) -> int:
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return length


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@cache
def whole() -> bytes:
    """The reply to a call: 32 tokens."""
    tokens = list(range(1000, 1032))
    choice = {"index": 0, "text": "".join(islice(cycle(WORDS), 32)), "seed": 42, "finish_reason": "length"}
    body = {
        "id": "cmpl-26a1e10b8544450eb6a4e5c0a1b2c3d4",
        "object": "text_completion",
        "created": 1733382157,
        "model": "demo",
        "choices": [choice | {"tokens": tokens, "logprobs": None}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 32, "total_tokens": 39},
    }
    content = json.dumps(body).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(content) + content


@cache
def streamed(tokens: int, usage: bool) -> bytes:
    """The reply to a stream: `tokens` token events, one that closes the choice, the usage if wanted, `[DONE]`."""
    choices = [
        {"index": 0, "text": word, "token": 1000 + number % 7000, "finish_reason": None, "logprobs": None}
        for number, word in enumerate(islice(cycle(WORDS), tokens))
    ]
    closing = {"index": 0, "text": "", "finish_reason": "length", "logprobs": None, "seed": 42}
    chunks = [_chunk([choice]) for choice in [*choices, closing]]
    if usage:
        chunks.append(
            _chunk([]) | {"usage": {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}}
        )
    events = [*(json.dumps(chunk, separators=(",", ":")) for chunk in chunks), "[DONE]"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(_http_chunk(f"data: {event}\n\n".encode()) for event in events) + b"0\r\n\r\n"


def _chunk(choices: list[dict[str, object]]) -> dict[str, object]:
    frame = {"id": "cmpl-26a1e10b8544450eb6a4e5c0a1b2c3d4", "object": "text_completion", "model": "demo"}
    return frame | {"choices": choices, "created": 1733382157}


def _http_chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
