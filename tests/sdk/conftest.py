from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from friendli import AsyncFriendli, SyncFriendli, models

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("FRIENDLI_TOKEN", raising=False)
    monkeypatch.delenv("FRIENDLI_SERVER_URL", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class Caller:
    """One of the two clients behind one face, so that each test holds for both."""

    complete: Callable[..., models.CompletionsResult]
    events: Callable[..., list[models.StreamedCompletionsResult]]


def _sync(settings: dict[str, object]) -> Caller:
    def complete(**call):
        with SyncFriendli(**settings) as client:
            return client.dedicated.completions.complete(**call)

    def events(**call):
        with SyncFriendli(**settings) as client:
            seen = []
            events.seen = seen
            seen.extend(client.dedicated.completions.stream(**call))
            return seen

    return Caller(complete, events)


def _async(settings: dict[str, object]) -> Caller:
    async def complete(**call):
        async with AsyncFriendli(**settings) as client:
            return await client.dedicated.completions.complete(**call)

    async def events(seen, **call):
        async with AsyncFriendli(**settings) as client:
            async for event in await client.dedicated.completions.stream(**call):
                seen.append(event)
        return seen

    def run_events(**call):
        run_events.seen = []
        return asyncio.run(events(run_events.seen, **call))

    return Caller(lambda **call: asyncio.run(complete(**call)), run_events)


@pytest.fixture(params=["sync", "async"])
def caller(request) -> Callable[..., Caller]:
    """Makes a caller from a client's settings; `events.seen` holds what came before an error."""

    def make(**settings):
        settings.setdefault("token", "flp_secret")
        return (_sync if request.param == "sync" else _async)(settings)

    return make
