"""Messages on a byte stream: four bytes of length, little endian, then MessagePack."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH: Final = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
M = TypeVar("M")


def encode_frame(message: msgspec.Struct) -> bytes:
    """One message as the bytes to write."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameDecoder(Generic[M]):
    """Bytes as they arrive -> whole messages. `kinds` is the union of message types expected."""

    def __init__(self, kinds: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(kinds)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[M]:
        """The messages that these bytes complete; a malformed one raises `msgspec.DecodeError`."""
        self._buffer += data
        begin = 0
        while len(self._buffer) - begin >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, begin)
            end = begin + _LENGTH.size + length
            if end > len(self._buffer):
                break
            yield self._decoder.decode(bytes(self._buffer[begin + _LENGTH.size : end]))
            begin = end
        del self._buffer[:begin]
