"""Frames on a byte stream."""

import msgspec
import pytest

from friendli_endpoint.engine.frames import FrameDecoder, encode_frame
from friendli_endpoint.engine.vocabulary import Failed, Finished, FromEngine, Prefilled, Sampled, Stepped

MESSAGES = [
    Stepped((Prefilled("a", 3), Sampled("a", 0, 70_000), Finished("a", 0, "stop"))),
    Stepped(()),
    Stepped((Failed("b" * 300, "why"),)),
]
STREAM = b"".join(map(encode_frame, MESSAGES))


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM)])
def test_messages_come_out_whole_however_the_bytes_arrive(size):
    decoder = FrameDecoder(FromEngine)
    out = [m for i in range(0, len(STREAM), size) for m in decoder.feed(STREAM[i : i + size])]
    assert out == MESSAGES


def test_a_frame_of_another_kind_is_an_error():
    with pytest.raises(msgspec.DecodeError):
        list(FrameDecoder(FromEngine).feed(encode_frame(Sampled("a", 0, 1))))
