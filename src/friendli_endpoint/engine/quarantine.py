"""Requests that have ended the engine, remembered for a while, so that sending them again does no harm."""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.engine.vocabulary import Request

QUARANTINE_SECONDS: Final = 600.0
_MOST: Final = 256


class Quarantine:
    """What was asked, as digests, the oldest first; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def add(self, request: Request) -> None:
        digest = _digest(request)
        self._until[digest] = self._clock() + QUARANTINE_SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > _MOST:
            self._until.popitem(last=False)

    def holds(self, request: Request) -> bool:
        """Whether a request that asks the same was added, and not too long ago."""
        while self._until and next(iter(self._until.values())) <= self._clock():
            self._until.popitem(last=False)
        return bool(self._until) and _digest(request) in self._until


def _digest(request: Request) -> bytes:
    """Of all that is asked, whoever asks; whatever the seeds are, because they do not change what is computed first."""
    asked = msgspec.structs.replace(request, id="", scope="", seeds=(), generated=())
    return blake2b(msgspec.msgpack.encode(asked), digest_size=16).digest()
