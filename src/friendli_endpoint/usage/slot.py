"""One request's place in shared memory, written so that a process can be killed between any two stores.

In eight-byte words of the machine's order: the state (0 is free, then the place in `_STATES`), which of two banks
counts, the banks of three counts each, the length and the checksum of what tells whose request it is. That follows at
byte 80. The state is stored last at the beginning, and the bank last when counts change: what is found is always a
whole.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec
from msgspec import Struct

from friendli_endpoint.errors import RequestError
from friendli_endpoint.usage.records import Counts, Line, Outcome, Who

SLOT_BYTES: Final = 1024
_STATE, _BANK, _LENGTH, _CHECK = 0, 1, 8, 9
_BANKS = (2, 5)
_BEGUN = 80
_FREE = 0
_STATES: tuple[Outcome, ...] = ("interrupted", "finished", "left", "failed", "timeout")
"""A request that runs is one that is interrupted, if nothing else becomes of it."""


class Begun(Struct, frozen=True, array_like=True):
    """What is known of a request from its beginning; `started` in milliseconds since 1970."""

    who: Who
    started: int


class DamagedError(Exception):
    """A slot that is in use says nothing that could be read."""


class Slot:
    """The place of one request at a time."""

    __slots__ = ("_bytes", "_words")

    def __init__(self, place: memoryview) -> None:
        """`place`: `SLOT_BYTES` bytes, at an address that eight divides."""
        self._bytes = place
        self._words = place.cast("q")

    @property
    def free(self) -> bool:
        return self._words[_STATE] == _FREE

    def begin(self, begun: Begun) -> None:
        """Take the place, with counts of zero. Raises `RequestError` for names that do not fit."""
        identity = msgspec.msgpack.encode(begun)
        if len(identity) > SLOT_BYTES - _BEGUN:
            raise RequestError("The names of team, token, endpoint and adapter are too long to be kept.")
        self._bytes[8:_BEGUN] = bytes(_BEGUN - 8)
        self._words[_LENGTH] = len(identity)
        self._words[_CHECK] = zlib.crc32(identity)
        self._bytes[_BEGUN : _BEGUN + len(identity)] = identity
        self._words[_STATE] = 1

    def count(self, prompt: int, cached: int, completion: int) -> None:
        """Replace the counts."""
        words = self._words
        bank = 1 - words[_BANK]
        place = _BANKS[bank]
        words[place] = prompt
        words[place + 1] = cached
        words[place + 2] = completion
        words[_BANK] = bank

    def end(self, outcome: Outcome) -> None:
        """Say what became of the request, for whoever finds the slot."""
        self._words[_STATE] = 1 + _STATES.index(outcome)

    def clear(self) -> None:
        """Give the place back."""
        self._words[_STATE] = _FREE

    def counts(self) -> Counts:
        place = _BANKS[self._words[_BANK]]
        return Counts(*self._words[place : place + 3])

    def line(self) -> Line:
        """What the slot says of its request, which is in it. Raises `DamagedError`."""
        length, check = self._words[_LENGTH], self._words[_CHECK]
        identity = bytes(self._bytes[_BEGUN : _BEGUN + max(0, length)])
        if zlib.crc32(identity) != check or not 0 <= self._words[_BANK] <= 1:
            raise DamagedError
        try:
            begun = msgspec.msgpack.decode(identity, type=Begun)
            outcome = _STATES[self._words[_STATE] - 1]
        except (msgspec.DecodeError, IndexError) as error:
            raise DamagedError from error
        return Line(who=begun.who, started=begun.started, outcome=outcome, counts=self.counts())
