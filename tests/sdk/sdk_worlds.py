"""Networks of a test's own, below which there are no sockets, and what comes over sockets one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable


class World:
    """A network where every request goes to `answer`; time passes in waits alone, `late` seconds too long."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response], *, late: float = 0.0) -> None:
        self.answer = answer
        self.time = 0.0
        self._late = late

    def client(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self.answer), trust_env=False)

    def async_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer), trust_env=False)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds + self._late

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)
        await anyio.lowlevel.checkpoint()
