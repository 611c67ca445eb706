"""Server-sent events, by the WHATWG rules: bytes in, events out. Pure, incremental, linear and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_ENDS = b"\r\n"
_BOM = b"\xef\xbb\xbf"
_LARGEST_EVENT = 16 * 2**20
_LONGEST_RETRY = 15  # digits


# Data, event ("message" unless the server named it), the last id sent, retry in milliseconds. A bare tuple costs a
# fifth of a named one, and there is one per token.
ServerSentEvent: TypeAlias = tuple[str, str, str, int | None]


class EventTooLargeError(ValueError):
    """One event exceeds the bound; the stream cannot be read further."""


class SSEDecoder:
    """Feed it bytes as they come, cut anywhere, even inside a character.

    An event is out as soon as the blank line that ends it is in. What follows the last blank line is dropped, as
    the rules say. An event above `largest` bytes raises `EventTooLargeError`.
    """

    def __init__(self, *, largest: int = _LARGEST_EVENT) -> None:
        self._largest = largest
        self._size = 0  # of the pieces and the data held
        self._pieces: list[bytes] = []  # of the line that has not ended; joined once, so that cost stays linear
        self._swallow_lf = False
        self._first_line = True
        self._between_blocks = False  # nothing is held that could change what the next block means
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that `chunk` completes; consume them all before feeding again."""
        if not self._between_blocks or b"\r" in chunk:
            yield from self._lines(chunk)
            return
        # By far the most chunks are whole blocks of one data line each: the same rules, in short.
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        for block in blocks:
            if block[:6] == b"data: " and b"\n" not in block and len(block) < self._largest:
                yield block[6:].decode("utf-8", "replace"), "message", self._id, None
            else:
                yield from self._lines(block + b"\n\n")
        if rest:
            yield from self._lines(rest)

    def _lines(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The rules in full."""
        if self._swallow_lf and chunk:
            self._swallow_lf = False
            chunk = chunk.removeprefix(b"\n")
        for line in chunk.splitlines(keepends=True):
            if line[-1] not in _LINE_ENDS:
                self._pieces.append(line)
                self._grow(len(line))
            elif content := self._content(line):
                self._field(content)
            elif self._data:
                yield self._dispatched()
            else:
                self._forget()
        if chunk.endswith(b"\r"):
            self._swallow_lf = True
        held = self._pieces or self._data or self._event or self._first_line
        self._between_blocks = not held and self._retry is None

    def _content(self, line: bytes) -> bytes:
        """The whole line that ends with `line`, without its end."""
        if self._pieces:
            self._size -= sum(map(len, self._pieces))
            line = b"".join((*self._pieces, line))
            self._pieces.clear()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        return line.rstrip(_LINE_ENDS)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._grow(len(value) + 1)  # with the line end that joins it to the next one
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
            self._retry = int(value)

    def _dispatched(self) -> ServerSentEvent:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = (data.decode("utf-8", "replace"), self._event or "message", self._id, self._retry)
        self._data.clear()
        self._forget()
        return event

    def _forget(self) -> None:
        """A block without data names no event."""
        self._size, self._event, self._retry = 0, "", None

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._largest:
            raise EventTooLargeError(f"an event of the stream exceeds {self._largest} bytes")
