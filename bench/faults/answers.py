"""Answers as bytes: results, errors, and streams in both shapes of the contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

WORDS = (" The", " quiet", " harbour", " wäscht", ",", " und", " 七", " boats", " leave", " befor", "e", " dawn", " 🌅")
USAGE = {"prompt_tokens": 7, "completion_tokens": len(WORDS), "total_tokens": 7 + len(WORDS)}
_FRAME = {"id": "cmpl-1", "object": "text_completion", "model": "demo", "created": 1733382157}


def head(status: int, **headers: str) -> bytes:
    """The head of an answer; `_` in the names stands for `-`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode()


def answer(status: int, body: object, **headers: str) -> bytes:
    """A whole JSON answer."""
    content = json.dumps(body).encode()
    return head(status, content_type="application/json", content_length=str(len(content)), **headers) + content


def result(text: str) -> bytes:
    """A whole completion."""
    choice = {"index": 0, "text": text, "seed": 42, "finish_reason": "length", "tokens": [1, 2], "logprobs": None}
    return answer(200, {**_FRAME, "choices": [choice], "usage": USAGE})


def failure(status: int, **headers: str) -> bytes:
    """An error as the endpoint words it."""
    return answer(status, {"error": {"message": "not now", "type": "overloaded"}}, **headers)


def event(value: object) -> bytes:
    """One server-sent event; a string is sent as it is."""
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n".encode()


@dataclass(frozen=True)
class Streamed:
    """A stream: its events and what each adds to the text. `closing` counts the events up to the one that ends it."""

    events: tuple[bytes, ...]
    texts: tuple[str, ...]
    closing: int

    @cached_property
    def payload(self) -> bytes:
        return b"".join(self.events)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def offsets(self, count: int) -> list[int]:
        """At most `count` offsets spread over all bytes before the end of the closing event; 0 is one of them."""
        end = len(b"".join(self.events[: self.closing]))
        return sorted({end * number // count for number in range(count)})

    def text_before(self, offset: int) -> str:
        """The text of the events that are whole before `offset`."""
        end, texts = 0, []
        for sent, text in zip(self.events, self.texts, strict=True):
            end += len(sent)
            texts.append(text if end <= offset else "")
        return "".join(texts)


def first_shape(words: tuple[str, ...] = WORDS) -> Streamed:
    """`token_sampled` events, one `complete`, and the sentinel, which says nothing new."""
    sampled = [{"event": "token_sampled", "index": 0, "text": word, "token": 1000 + n} for n, word in enumerate(words)]
    choice = {"index": 0, "seed": 42, "text": "".join(words), "tokens": [piece["token"] for piece in sampled]}
    values = [*sampled, {"event": "complete", "choices": [choice], "usage": USAGE}, "[DONE]"]
    return Streamed(tuple(map(event, values)), (*words, "", ""), closing=len(words) + 1)


def second_shape(words: tuple[str, ...] = WORDS) -> Streamed:
    """Chunks with `choices`, one that says why the choice ended, the usage, and the sentinel."""
    pieces = [
        {"index": 0, "text": word, "token": 1000 + n, "finish_reason": None, "logprobs": None}
        for n, word in enumerate(words)
    ]
    ended = {"index": 0, "text": "", "finish_reason": "length", "logprobs": None, "seed": 42}
    chunks = [{**_FRAME, "choices": [choice]} for choice in [*pieces, ended]]
    values = [*chunks, {**_FRAME, "choices": [], "usage": USAGE}, "[DONE]"]
    return Streamed(tuple(map(event, values)), (*words, "", "", ""), closing=len(words) + 3)


def chunk(content: bytes) -> bytes:
    """One chunk of a chunked body; an empty one is the last."""
    return b"%x\r\n%s\r\n" % (len(content), content)


STREAM_CHUNKED = head(200, content_type="text/event-stream; charset=utf-8", transfer_encoding="chunked")
STREAM_TO_CLOSE = head(200, content_type="text/event-stream; charset=utf-8", connection="close")


def chunked(streamed: Streamed) -> bytes:
    """A whole answer, one chunk for each event."""
    return STREAM_CHUNKED + b"".join(map(chunk, streamed.events)) + chunk(b"")
