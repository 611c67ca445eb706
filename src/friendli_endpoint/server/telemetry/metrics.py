"""GET /metrics: everything that is counted, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, ProcessCollector, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from friendli_endpoint.server.telemetry.container import container_families
from friendli_endpoint.server.telemetry.engines import engine_families
from friendli_endpoint.server.telemetry.families import counter, gauge
from friendli_endpoint.server.telemetry.requests import request_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.server.telemetry.figures import Figures
    from friendli_endpoint.server.telemetry.tally import Tally

_OPENMETRICS_KIND: Final = b"application/openmetrics-text"


class Metrics:
    """The families of one server.

    `figures` tells of its endpoints, `dropped` how many lines its log has lost, `tasks` how many its event loop has.
    """

    def __init__(
        self,
        tally: Tally,
        figures: Figures,
        dropped: Callable[[], int] = lambda: 0,
        tasks: Callable[[], int] = lambda: 0,
    ) -> None:
        self._tally = tally
        self._figures = figures
        self._dropped = dropped
        self._tasks = tasks
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        """Every family as it is now."""
        yield from container_families(self._tally)
        yield from request_families(self._tally)
        yield from engine_families(list(self._figures()))
        yield counter(
            "friendli_log_lines_dropped", "Lines of the log that could not be written.", (), [((), self._dropped())]
        )
        yield gauge("friendli_tasks", "Tasks of the event loop.", (), [((), self._tasks())])
        yield from self._process.collect()


class _Snapshot(NamedTuple):
    """The families of one moment."""

    families: tuple[Metric, ...]

    def collect(self) -> tuple[Metric, ...]:
        return self.families


class _Form(NamedTuple):
    encode: Callable[[_Snapshot], bytes]
    kind: str


_TEXT: Final = _Form(generate_latest, CONTENT_TYPE_PLAIN_0_0_4)
_OPENMETRICS: Final = _Form(openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST)


class MetricsRoute:
    """The route: OpenMetrics for who accepts it, else the older text."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._turn = asyncio.Semaphore(1)  # of the threads that tokenize, not all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._turn:
            snapshot = _Snapshot(tuple(self._metrics.collect()))
            accepts = any(_OPENMETRICS_KIND in value for name, value in scope["headers"] if name == b"accept")
            form = _OPENMETRICS if accepts else _TEXT
            body = await asyncio.to_thread(form.encode, snapshot)
        headers = [(b"content-type", form.kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
