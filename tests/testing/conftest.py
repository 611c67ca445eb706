from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from friendli import AsyncFriendli, SyncFriendli, models
from friendli._transport import network

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("FRIENDLI_TOKEN", raising=False)
    monkeypatch.delenv("FRIENDLI_SERVER_URL", raising=False)


@dataclass
class Caller:
    """A client of one kind behind one face, so that each test holds for all.

    `seen` holds the texts of a stream's pieces, also before an error; `elapsed` what the endpoint's clock said at the
    end of the last call.
    """

    kind: str
    seen: list[str] = field(default_factory=list)
    elapsed: float = -1.0

    def complete(self, settings: dict[str, object] | None = None, **call: object) -> models.CompletionsResult:
        return self._call(self._complete, self._complete_async, settings, call)

    def stream(self, settings: dict[str, object] | None = None, **call: object) -> models.CompletionsResult:
        """Read a stream to its end; the whole, as its last event tells it."""
        self.seen = []
        return self._call(self._stream, self._stream_async, settings, call)

    def _call(self, blocking, awaited, settings, call):
        settings = {"token": "flp_secret", **(settings or {})}
        call = {"model": "demo", "prompt": "a secret prompt", **call}
        if self.kind == "sync":
            with SyncFriendli(**settings) as client:
                return self._timed(blocking, client, call)
        return run_async(self.kind, self._timed_async, awaited, settings, call)

    def _timed(self, calling, client, call):
        try:
            return calling(client, call)
        finally:
            self.elapsed = network.current().now()

    async def _timed_async(self, calling, settings, call):
        async with AsyncFriendli(**settings) as client:
            try:
                return await calling(client, call)
            finally:
                self.elapsed = network.current().now()

    def _complete(self, client, call):
        return client.dedicated.completions.complete(**call)

    async def _complete_async(self, client, call):
        return await client.dedicated.completions.complete(**call)

    def _stream(self, client, call):
        for event in client.dedicated.completions.stream(**call):
            if event.data.event == "token_sampled":
                self.seen.append(event.data.text)
        return event.data

    async def _stream_async(self, client, call):
        async for event in await client.dedicated.completions.stream(**call):
            if event.data.event == "token_sampled":
                self.seen.append(event.data.text)
        return event.data


def run_async(kind: str, function: Callable[..., object], *args: object):
    if kind == "asyncio":
        return asyncio.run(function(*args))
    return pytest.importorskip("trio").run(function, *args)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def caller(request) -> Caller:
    return Caller(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def running(request) -> Callable[..., object]:
    """Runs an async function under each of the two libraries."""
    return lambda function, *args: run_async(request.param, function, *args)
