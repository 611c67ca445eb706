"""The decoder of server-sent events follows the WHATWG rules at every cut."""

from __future__ import annotations

from collections import deque

import pytest
from sse_vectors import VECTORS

from friendli._sse import EventTooLargeError, ServerSentEvent, SSEDecoder

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
