"""A server in this process, so that what it holds, and its tasks, can be looked at from outside a request."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.endurance.fake_server import fake_deployment
from friendli_endpoint.config import EndpointSettings, ServerSettings, Settings
from friendli_endpoint.server.host import Stop, host
from friendli_endpoint.server.listen import base_url, listen
from friendli_endpoint.server.loading import load
from friendli_endpoint.server.service import open_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from friendli_endpoint.server.deployment import Deployment
    from friendli_endpoint.server.service import Service

FAKE_STEP_SECONDS: Final = 0.02
_ENDPOINT: Final = EndpointSettings(max_rows=1)


@dataclass(frozen=True)
class Place:
    """A server in this process, so that its tasks can be counted, and what it keeps."""

    service: Service
    deployment: Deployment
    url: str

    @property
    def held(self) -> tuple[int, int, int, int]:
        """Places, rows, requests in the queue, and tasks of the event loop."""
        (endpoint,) = self.service.endpoints
        turns = endpoint.turns
        return self.service.admission.places, turns.running_rows, turns.waiting, len(asyncio.all_tasks())


@asynccontextmanager
async def hosted(state: Path, *, real: bool) -> AsyncIterator[Place]:
    """One row of the real model, or of the fake engine; `state` is its folder."""
    settings = Settings(server=ServerSettings(port=0, state=str(state)), endpoints={"demo": _ENDPOINT})
    if real:
        (deployment,) = load(settings)
    else:
        deployment = fake_deployment("demo", _ENDPOINT, rows=1, step_seconds=FAKE_STEP_SECONDS)
    with listen("127.0.0.1", 0) as listener:
        service, stop, ready = open_service([deployment], settings), Stop(), asyncio.Event()
        hosting = asyncio.create_task(host(service, listener, stop, ready.set))
        await ready.wait()
        try:
            yield Place(service, deployment, base_url(listener))
        finally:
            stop.ask()
            await hosting
