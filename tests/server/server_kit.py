"""What the server's tests share: a tokenizer of bytes, and servers on the fake engine."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import msgspec

from friendli_endpoint.config import EndpointSettings, ServerSettings, Settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import HubError
from friendli_endpoint.server.app import ADAPTERS_PATH, COMPLETIONS_PATH, create_app
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.host import Stop, host
from friendli_endpoint.server.listen import base_url, listen
from friendli_endpoint.server.service import Service, open_service
from friendli_endpoint.text.fake import EOS as EOS
from friendli_endpoint.text.fake import byte_tokenizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from friendli_endpoint.engine.vocabulary import Request

ADAPTERS = ADAPTERS_PATH.format(endpoint_id="demo")


def says(text: str) -> Callable[[Request, int], bytes]:
    """A script in which every choice says `text` and ends."""
    return lambda request, choice: text.encode()


def body(**fields: object) -> dict[str, object]:
    """A good body, but for `fields`; None leaves a field out."""
    good: dict[str, object] = {"model": "demo", "prompt": "Hi", "max_tokens": 8, "seed": 1}
    return {name: value for name, value in (good | fields).items() if value is not None}


def events(stream: str) -> list[dict[str, object]]:
    """The JSON of a stream's events, which must end with [DONE]."""
    datas = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    assert datas[-1] == "[DONE]"
    return [json.loads(data) for data in datas[:-1]]


def error_of(reply: httpx2.Response, status: int) -> dict[str, str]:
    """The error that `reply` has to be."""
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert list(error) == ["message", "type", "field", "request_id"]
    return error


@dataclass
class Server:
    """A server under test: its engine, and a client of it."""

    engine: FakeEngine
    client: httpx2.AsyncClient
    url: str = "http://127.0.0.1"
    stop: Stop = field(default_factory=Stop)

    async def post(self, headers: dict[str, str] | None = None, **fields: object) -> httpx2.Response:
        return await self.client.post(COMPLETIONS_PATH, json=body(**fields), headers=headers)

    async def post_bytes(self, content: bytes, **headers: str) -> httpx2.Response:
        return await self.client.post(
            COMPLETIONS_PATH, content=content, headers={"Content-Type": "application/json"} | headers
        )

    async def text(self, model: str = "demo", **fields: object) -> str:
        """What a request for `model` is answered, which has to be good."""
        reply = await self.post(model=model, **fields)
        assert reply.status_code == 200, reply.text
        return reply.json()["choices"][0]["text"]

    async def put(self, route: str, source: object) -> httpx2.Response:
        return await self.client.put(f"{ADAPTERS}/{route}", json={"source": source})

    async def remove(self, route: str) -> httpx2.Response:
        return await self.client.delete(f"{ADAPTERS}/{route}")

    async def routes(self) -> dict[str, str]:
        """The source of each route."""
        listed = (await self.client.get(ADAPTERS)).json()["data"]
        return {adapter["route"]: adapter["source"] for adapter in listed}


def settings(**fields: object) -> ServerSettings:
    return msgspec.structs.replace(ServerSettings(port=0), **fields)


def find_adapter(source: str) -> Path:
    """Where an adapter's files are: every source is a path, but for those that begin with "no-"."""
    if source.startswith("no-"):
        raise HubError(f"there is no adapter called {source}")
    return Path(source)


def deployment_of(engine: FakeEngine, **served: object) -> Deployment:
    return Deployment("demo", engine, byte_tokenizer(), **({"resolve_adapter": find_adapter} | served))


def service_with(
    deployment: Deployment, server: ServerSettings, *, teams: object = None, **endpoint: object
) -> Service:
    """The service of one deployment. `endpoint`: of its settings."""
    chosen = {deployment.id: EndpointSettings(**endpoint)}
    return open_service([deployment], Settings(server=server, teams=teams or {}, endpoints=chosen))


@asynccontextmanager
async def in_process(
    engine: FakeEngine | None = None, *, served: dict[str, object] | None = None, **limits: object
) -> AsyncIterator[Server]:
    """The application called directly, without sockets. `served`: of the deployment."""
    engine = engine or FakeEngine()
    deployment = deployment_of(engine, **(served or {}))
    service = service_with(deployment, settings(**limits))
    await service.endpoints.start()
    app = create_app(service)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield Server(engine, client)


@asynccontextmanager
async def on_socket(
    engine: FakeEngine | None = None, *, served: dict[str, object] | None = None, **limits: object
) -> AsyncIterator[Server]:
    """A real server on a free port. `served`: of the deployment."""
    engine = engine or FakeEngine()
    chosen = settings(**limits)
    with listen(chosen.host, chosen.port) as listener:
        stop, ready = Stop(), asyncio.Event()
        service = service_with(deployment_of(engine, **(served or {})), chosen)
        hosting = asyncio.create_task(host(service, listener, stop, ready.set))
        url = base_url(listener)
        await ready.wait()
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
                yield Server(engine, client, url, stop)
        finally:
            stop.ask()
            await hosting


def play(scenario: Callable[[Server], Awaitable[None]], engine: FakeEngine | None = None, **limits: object) -> None:
    """Run `scenario` against the application in process."""

    async def main() -> None:
        async with in_process(engine, **limits) as server:
            await scenario(server)

    asyncio.run(main())


def play_on_socket(
    scenario: Callable[[Server], Awaitable[None]], engine: FakeEngine | None = None, **limits: object
) -> None:
    """Run `scenario` against a real server."""

    async def main() -> None:
        async with on_socket(engine, **limits) as server:
            await scenario(server)

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    """Return once `holds`; a test that waits in vain fails after a while."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
