"""The decoder of server-sent events follows the WHATWG rules at every cut."""

from __future__ import annotations

from collections import deque

import pytest

from friendli._sse import EventTooLargeError, ServerSentEvent, SSEDecoder

VECTORS: dict[str, tuple[bytes, list[tuple[str, str, str, int | None]]]] = {
    "one event": (b"data: a\n\n", [("a", "message", "", None)]),
    "no space after the colon": (b"data:a\n\n", [("a", "message", "", None)]),
    "only one space is dropped": (b"data:  a\n\n", [(" a", "message", "", None)]),
    "a tab is no space": (b"data:\ta\n\n", [("\ta", "message", "", None)]),
    "carriage returns": (b"data: a\r\rdata: b\r\r", [("a", "message", "", None), ("b", "message", "", None)]),
    "both": (b"data: a\r\n\r\ndata: b\r\n\r\n", [("a", "message", "", None), ("b", "message", "", None)]),
    "mixed ends": (b"data: a\r\ndata: b\rdata: c\n\n", [("a\nb\nc", "message", "", None)]),
    "blank line of one CR": (b"data: a\n\rdata: b\n\n", [("a", "message", "", None), ("b", "message", "", None)]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [("a", "message", "", None)]),
    "only the first mark": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("b", "message", "", None)]),
    "a later mark": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("a", "message", "", None)]),
    "mark in the data": (b"data: \xef\xbb\xbfa\n\n", [("\ufeffa", "message", "", None)]),
    "several lines": (b"data: a\ndata: b\ndata: c\n\n", [("a\nb\nc", "message", "", None)]),
    "empty data lines": (b"data\ndata\n\n", [("\n", "message", "", None)]),
    "one empty data line": (b"data:\n\n", [("", "message", "", None)]),
    "data without a colon": (b"data\n\n", [("", "message", "", None)]),
    "no data, no event": (b"event: x\n\ndata: a\n\n", [("a", "message", "", None)]),
    "comments": (b": hi\n:\n\ndata: a\n: there\n\n", [("a", "message", "", None)]),
    "named": (b"event: x\ndata: a\n\ndata: b\n\n", [("a", "x", "", None), ("b", "message", "", None)]),
    "the last name wins": (b"event: x\nevent: y\ndata: a\n\n", [("a", "y", "", None)]),
    "an empty name": (b"event:\ndata: a\n\n", [("a", "message", "", None)]),
    "an id stays": (b"id: 1\ndata: a\n\ndata: b\n\n", [("a", "message", "1", None), ("b", "message", "1", None)]),
    "an id is cleared": (
        b"id: 1\ndata: a\n\nid\ndata: b\n\n",
        [("a", "message", "1", None), ("b", "message", "", None)],
    ),
    "an id with NUL is ignored": (b"id: 1\x002\ndata: a\n\n", [("a", "message", "", None)]),
    "retry": (b"retry: 10\ndata: a\n\n", [("a", "message", "", 10)]),
    "retry needs digits": (b"retry: 1x\nretry: -1\nretry: \xc2\xb2\ndata: a\n\n", [("a", "message", "", None)]),
    "retry beyond reason": (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [("a", "message", "", None)]),
    "unknown fields": (b"foo: bar\nDATA: x\n data: y\ndata: a\n\n", [("a", "message", "", None)]),
    "a colon in the value": (b"data: a:b: c\n\n", [("a:b: c", "message", "", None)]),
    "a name that begins like data": (b"datax: b\ndata: a\n\n", [("a", "message", "", None)]),
    "characters of several bytes": ("data: ü€😀\n\n".encode(), [("ü€😀", "message", "", None)]),
    "U+2028 and U+0085 end no line": ("data: a\u2028b\u0085c\n\n".encode(), [("a\u2028b\u0085c", "message", "", None)]),
    "form feed ends no line": (b"data: a\x0bb\x0cc\x1cd\n\n", [("a\x0bb\x0cc\x1cd", "message", "", None)]),
    "broken UTF-8": (b"data: a\xffb\n\n", [("a\ufffdb", "message", "", None)]),
    "NUL in the data": (b"data: a\x00b\n\n", [("a\x00b", "message", "", None)]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", [("a", "message", "", None)]),
    "no line end at the end": (b"data: a\n\ndata: b", [("a", "message", "", None)]),
    "many blank lines": (b"\n\n\ndata: a\n\n\n\n", [("a", "message", "", None)]),
    "nothing": (b"", []),
}
EACH = pytest.mark.parametrize("name", VECTORS)


def decoded(pieces: list[bytes]) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def expected(name: str) -> list[ServerSentEvent]:
    return VECTORS[name][1]


@EACH
@pytest.mark.parametrize("size", [10**6, 1, 2, 7])
def test_events_do_not_depend_on_the_size_of_the_pieces(name, size):
    content = VECTORS[name][0]
    assert decoded([content[at : at + size] for at in range(0, len(content), size)]) == expected(name)


@EACH
def test_events_do_not_depend_on_where_the_bytes_are_cut(name):
    content = VECTORS[name][0]
    for cut in range(min(len(content), 300) + 1):
        assert decoded([content[:cut], b"", content[cut:]]) == expected(name), cut


def test_an_event_is_out_as_soon_as_its_blank_line_is_in():
    decoder = SSEDecoder()
    assert [*decoder.feed(b"data: a\r\n\r")] == [("a", "message", "", None)]
    assert [*decoder.feed(b"\ndata: b\r\n\r\n")] == [("b", "message", "", None)]


@pytest.mark.parametrize("piece", [b"x" * 50, b"data: " + b"x" * 40 + b"\n", b"event: x"])
def test_an_event_beyond_the_bound_is_refused_however_it_comes(piece):
    decoder = SSEDecoder(largest=100)
    with pytest.raises(EventTooLargeError):
        deque(event for _ in range(100) for event in decoder.feed(piece))


def test_the_bound_is_of_one_event_and_comments_do_not_add_up():
    decoder = SSEDecoder(largest=100)
    for _ in range(100):
        assert [*decoder.feed(b": still here, nothing to say\n")] == []
        assert len([*decoder.feed(b"data: " + b"x" * 80 + b"\n\n")]) == 1
