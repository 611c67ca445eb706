"""What the tests of records, metrics and logs share: a clock, a small application, and reading what it exports."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route, Router

from friendli_endpoint.server.errors import ErrorBoundary
from friendli_endpoint.server.telemetry import EndpointFigures, Metrics, MetricsRoute, Recorded, Telemetry, record_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from friendli_endpoint.server.telemetry import RequestRecord

    Work = Callable[[RequestRecord, Send], Awaitable[None]]

PATH = "/complete/{name}"


class Clock:
    """Time that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


async def answer(send: Send, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"done", "more_body": False})


class _Route:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # makes the router raise its 404 and 405
        await self._work(record_of(scope), send)


def application(work: Work, telemetry: Telemetry, figures: Iterable[EndpointFigures] = ()) -> ASGIApp:
    """Routes behind the two middlewares: one that does `work`, the metrics, and one for health."""
    metrics = MetricsRoute(Metrics(telemetry.tally, lambda: figures))
    router = Router(
        [
            Route(PATH, _Route(work), methods=["POST"]),
            Route("/metrics", metrics, methods=["GET"]),
            Route("/health", _Route(lambda record, send: answer(send)), methods=["GET"]),
        ],
        redirect_slashes=False,
    )

    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = router  # as the real application does
        await router(scope, receive, send)

    return ErrorBoundary(Recorded(raising, telemetry))


def ask(
    app: ASGIApp, path: str = "/complete/it", method: str = "POST", headers: dict[str, str] | None = None
) -> httpx2.Response:
    """One request, called directly."""

    async def main() -> httpx2.Response:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(main())


def drive(app: ASGIApp) -> None:
    """One request to which no answer may come, and whatever becomes of it."""
    scope = {"type": "http", "method": "POST", "path": "/complete/it", "root_path": "", "headers": []}

    async def unused(*_: object) -> None:
        pass

    with suppress(Exception, asyncio.CancelledError):
        asyncio.run(app(scope, unused, unused))


def read(text: str) -> dict[str, float]:
    """Every line of the text format, by its name and labels as they are written: `name{a=b,c=d}`."""
    lines = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            lines[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return lines


def exported(telemetry: Telemetry, figures: Iterable[EndpointFigures] = ()) -> dict[str, float]:
    """What /metrics says now."""
    return read(ask(application(_nothing, telemetry, figures), "/metrics", "GET").text)


async def _nothing(record: RequestRecord, send: Send) -> None:
    await answer(send)


def complete(clock: Clock, record: RequestRecord, adapter: str | None = None) -> None:
    """A request with two choices: half a second in the queue, then three batches a quarter of a second apart."""
    record.asked()
    record.placed("demo", adapter)
    record.queued(2)
    clock.passes(0.5)
    record.started()
    for batch in range(1, 4):
        clock.passes(0.25)
        record.used(100, 40, 2 * batch)
        record.sampled(2)


def run(telemetry: Telemetry, clock: Clock, adapter: str | None = None) -> None:
    """Such a request, to its end."""

    async def work(record: RequestRecord, send: Send) -> None:
        complete(clock, record, adapter)
        await answer(send)

    assert ask(application(work, telemetry)).status_code == 200


def fail(telemetry: Telemetry, error: BaseException, *, begun: bool = False) -> dict[str, float]:
    """A request that ends with `error`, once its reply has begun or before; what /metrics says then."""

    async def work(record: RequestRecord, send: Send) -> None:
        record.asked()
        record.placed("demo")
        if not begun:
            raise error
        record.failed(error)
        await answer(send)

    drive(application(work, telemetry))
    return exported(telemetry)
