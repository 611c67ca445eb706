"""Which adapter a route leads to, now: the table, its changes, and who still uses what it held before.

Everything here happens on the event loop. A lookup and the hold that follows it have no `await` between them, and
neither has a change of the table, so a request sees a route before or after a change and never in between.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakValueDictionary

from friendli_endpoint.errors import AdapterError, RequestError
from friendli_endpoint.server.thread import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.engine.vocabulary import AdapterCard

_MOST_SHOWN: Final = 20
_MOST_FETCHES: Final = 4


class ConfiguredAdapter(NamedTuple):
    """An adapter that is there from the start: its route, its source as given, where that has been found."""

    route: str
    source: str
    path: Path


@dataclass(eq=False, slots=True)
class Served:
    """One adapter in the engine. A route that is given another adapter is given another `Served`."""

    key: str
    route: str
    source: str
    card: AdapterCard
    created: int
    """Unix seconds."""
    requests: int = 0
    """How many hold it now."""
    retired: bool = False
    """No route leads here any more."""
    dropped: asyncio.Event = field(default_factory=asyncio.Event)


class Routes:
    """The table of one endpoint's routes.

    At most `most` routes, those of `configured` among them, which `start` adds. `resolve` turns a source into a path;
    it may take long and is called in a thread.
    """

    def __init__(
        self,
        engine: Engine,
        resolve: Callable[[str], Path],
        most: int,
        configured: Sequence[ConfiguredAdapter] = (),
    ) -> None:
        self._engine = engine
        self._resolve = resolve
        self._most = most
        self._configured = configured
        self._current: dict[str, Served] = {}
        self._retired: set[Served] = set()  # those that requests still hold
        self._new: set[str] = set()  # routes that are being made
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._fetching = asyncio.Semaphore(_MOST_FETCHES)
        self._numbers = count(1)
        self.ready = not configured
        """Whether the configured adapters are there."""

    async def start(self) -> None:
        """Add the configured adapters, once. Raises `AdapterError` with a sentence that names the route."""
        if self.ready:
            return
        try:
            for route, source, path in self._configured:
                self._current[route] = await self._add_configured(route, source, path)
        except BaseException:
            for served in self._current.values():
                self._engine.drop_adapter(served.key)
            self._current.clear()
            raise
        self.ready = True

    async def _add_configured(self, route: str, source: str, path: Path) -> Served:
        try:
            return await self._add(route, source, path)
        except AdapterError as error:
            raise AdapterError(f"adapter {route!r} ({source}): {error}") from error

    def all(self) -> list[Served]:
        """What each route leads to, by route."""
        return [self._current[route] for route in sorted(self._current)]

    def find(self, route: str, *, field: str) -> Served:
        """What `route` leads to. Raises `RequestError` 404 that blames `field` and names what there is."""
        served = self._current.get(route)
        if served is None:
            raise RequestError(
                f"There is no adapter {quoted(route)}; known adapters: {self._known()}.", field=field, status=404
            )
        return served

    @contextmanager
    def hold(self, served: Served) -> Iterator[str]:
        """The key of `served`, which stays in the engine meanwhile, whatever becomes of its route."""
        served.requests += 1
        try:
            yield served.key
        finally:
            served.requests -= 1
            self._drop_unused(served)

    async def put(self, route: str, source: str) -> tuple[Served, bool]:
        """Let `route` lead to the adapter at `source`; also whether the route is new.

        What it led to before stays for the requests that hold it. Raises `RequestError` 409 when there are too many
        routes, `HubError`, `AdapterError` or `EngineError`; then, and when cancelled, nothing has changed.
        """
        async with self._lock(route):
            with self._room_for(route):
                async with self._fetching:
                    path = await in_own_thread(lambda: self._resolve(source))
                served = await self._add(route, source, path)
            replaced = self._current.get(route)
            self._current[route] = served
            if replaced is not None:
                self._retire(replaced)
            return served, replaced is None

    async def remove(self, route: str) -> None:
        """Take `route` away, and return when none of its requests is left. Cancelling this ends the wait alone.

        Raises `RequestError` 404.
        """
        async with self._lock(route):
            self._retire(self.find(route, field="route"))
            del self._current[route]
            leaving = [served for served in self._retired if served.route == route]
        for served in leaving:
            await served.dropped.wait()

    def _lock(self, route: str) -> asyncio.Lock:
        """One change of a route at a time, in the order of arrival."""
        return self._locks.setdefault(route, asyncio.Lock())

    @contextmanager
    def _room_for(self, route: str) -> Iterator[None]:
        if route in self._current:
            yield
            return
        if len(self._current) + len(self._new) >= self._most:
            raise RequestError(
                f"There are {self._most} adapters, and no more are allowed; remove one, or raise max_adapters.",
                status=409,
            )
        self._new.add(route)
        try:
            yield
        finally:
            self._new.remove(route)

    async def _add(self, route: str, source: str, path: Path) -> Served:
        key = f"{route}@{next(self._numbers)}"
        try:
            card = await self._engine.add_adapter(key, str(path))
        except BaseException:
            self._engine.drop_adapter(key)  # who is cancelled cannot know how far the engine has come
            raise
        return Served(key, route, source, card, int(time.time()))

    def _retire(self, served: Served) -> None:
        served.retired = True
        self._retired.add(served)
        self._drop_unused(served)

    def _drop_unused(self, served: Served) -> None:
        if served.retired and not served.requests:
            self._engine.drop_adapter(served.key)
            self._retired.remove(served)
            served.dropped.set()

    def _known(self) -> str:
        routes = sorted(self._current)
        shown = ", ".join(routes[:_MOST_SHOWN]) or "none"
        more = len(routes) - _MOST_SHOWN
        return f"{shown} and {more} more" if more > 0 else shown


def quoted(name: str) -> str:
    """A name that a caller has made up, fit to be shown."""
    return repr(name if len(name) <= 80 else f"{name[:80]}...")
