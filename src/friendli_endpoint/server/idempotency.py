"""Idempotency-Key: one generation per team and key; who repeats a request reads the same answer.

An answer is kept until it has not been read for a while, or until room is needed. One that nobody waits for any more is
not finished in vain: the engine leaves it, and goes on when the request is repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import Scope

    from friendli.models import CompletionsBody
    from friendli_endpoint.server.answer import Answer

_HEADER: Final = b"idempotency-key"
_LONGEST: Final = 255
_Name: TypeAlias = tuple[str, str]  # team, key
_LEAST_SIZE: Final = 2048
"""What an answer counts at least, in bytes, so that the number of small ones is bounded, too."""


def key_of(scope: Scope) -> str | None:
    """The request's Idempotency-Key, if it has one. Raises `RequestError` for one that is none."""
    given = [value for name, value in scope["headers"] if name == _HEADER]
    if not given:
        return None
    key: str = given[0].decode("latin-1")
    if len(given) > 1 or not 0 < len(key) <= _LONGEST or not (key.isascii() and key.isprintable()):
        raise RequestError(
            f"The header Idempotency-Key should be given once, with 1 to {_LONGEST} printable ASCII characters.",
            field="Idempotency-Key",
        )
    return key


def fingerprint(asked: CompletionsBody) -> bytes:
    """Equal for bodies that ask for the same text, however it is to be sent."""
    asks = asked.model_dump_json(exclude={"stream", "stream_options"}, exclude_none=True, by_alias=True)
    return hashlib.sha256(asks.encode()).digest()


@dataclass(slots=True, eq=False)
class _Kept:
    """A key that is in use: until `answer` is there, those that repeat the request wait for `settled`."""

    fingerprint: bytes
    answer: Answer | None = None
    readers: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    left: float = 0.0
    """When the last reader left, and how large it was then."""
    size: int = 0


class Answers:
    """Answers by team and key: each for `seconds` after it was last read, those in at most `most_bytes`.

    What is being read is not given up; its bound is that of the requests which are let in.
    """

    def __init__(self, seconds: float, most_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._busy: dict[_Name, _Kept] = {}  # being made, or read
        self._idle: dict[_Name, _Kept] = {}  # the least recently read first
        self._idle_bytes = 0

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    @asynccontextmanager
    async def answer(
        self, team: str, key: str, asks: bytes, make: Callable[[], Awaitable[Answer]]
    ) -> AsyncIterator[Answer]:
        """The answer for a key, from `make` when it is a new one.

        Raises `RequestError` 422 when the key belongs to another body, and what `make` raises.
        """
        name = (team, key)
        self._forget_old()
        kept = await self._find(name, asks) or await self._make(name, asks, make)
        if kept.answer is None:
            raise RuntimeError("a settled key has no answer")
        self._take(name, kept)
        try:
            yield kept.answer
        finally:
            self._leave(name, kept)

    async def _find(self, name: _Name, asks: bytes) -> _Kept | None:
        """Those that come while the answer is being made wait for it; when that fails one of them makes it."""
        while (kept := self._busy.get(name) or self._idle.get(name)) is not None:
            if kept.fingerprint != asks:
                raise RequestError(
                    "This Idempotency-Key belongs to a request with another body; use a new key for each request.",
                    field="Idempotency-Key",
                )
            if kept.answer is None:
                await kept.settled.wait()
            elif kept.answer.good:
                return kept
            else:
                self._forget(name)
        return None

    async def _make(self, name: _Name, asks: bytes, make: Callable[[], Awaitable[Answer]]) -> _Kept:
        kept = self._busy[name] = _Kept(asks)
        try:
            kept.answer = await make()
        except BaseException:
            del self._busy[name]
            raise
        finally:
            kept.settled.set()
        return kept

    def _take(self, name: _Name, kept: _Kept) -> None:
        self._forget(name)
        self._busy[name] = kept
        kept.readers += 1

    def _leave(self, name: _Name, kept: _Kept) -> None:
        kept.readers -= 1
        if kept.readers or self._busy.get(name) is not kept:
            return
        del self._busy[name]
        if kept.answer is not None and kept.answer.good:
            kept.left, kept.size = self._clock(), max(_LEAST_SIZE, kept.answer.size)
            self._idle[name] = kept
            self._idle_bytes += kept.size
            self._make_room()

    def _forget(self, name: _Name) -> None:
        self._busy.pop(name, None)
        if (idle := self._idle.pop(name, None)) is not None:
            self._idle_bytes -= idle.size

    def _forget_old(self) -> None:
        while self._idle:
            name, oldest = next(iter(self._idle.items()))
            if oldest.left >= self._clock() - self._seconds:
                return
            self._forget(name)

    def _make_room(self) -> None:
        while self._idle_bytes > self._most_bytes:
            self._forget(next(iter(self._idle)))
