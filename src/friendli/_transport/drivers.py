"""Run a call's life: do what it asks for, tell it what came of it."""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import httpx2

from friendli._call import Done, Reply, Sleep, advance, life
from friendli._forks import leave_to_parent, renew_after_fork
from friendli._transport import network
from friendli._transport.bodies import LATE, AsyncBody, BodyBrokenError, Meter, SyncBody
from friendli._transport.loops import ClientsOfLoops
from friendli._transport.wire import (
    SENDING_ERRORS,
    broken_reply,
    content_of,
    reply_of,
    request_of,
    response_of,
    stays_open,
    unsent,
    whole_reply,
)
from friendli.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli._call import Call, Effect, Outcome, Send
    from friendli._transport.network import Network
    from friendli._watch import Watch

SyncClient: TypeAlias = httpx2.Client
AsyncClient: TypeAlias = httpx2.AsyncClient
T = TypeVar("T")
C = TypeVar("C", httpx2.Client, httpx2.AsyncClient)

_GRACE = 0.05  # seconds; the HTTP library's own timeouts say more, so they go first
_LARGEST_BODY = 64 * 2**20


class SyncTransport:
    """Runs calls over a blocking client; makes its own client at the first call unless it is given one."""

    def __init__(self, client: SyncClient | None = None) -> None:
        self._given = _httpx2(client, httpx2.Client, "client")
        self._own: SyncClient | None = None
        self._world: Network | None = None  # that our own client belongs to
        self._lock = threading.Lock()
        renew_after_fork(self)

    def run(self, call: Call, finish: Callable[[Reply, Watch], T]) -> T:
        """Live through `call`, and return what `finish` makes of its answer; raises its `SDKError`.

        The reply of a stream is open: `finish` reads it with `body`.
        """
        world = network.current()
        flow = life(call, world.now, finish)
        outcome: Outcome = None
        try:
            while not isinstance(effect := advance(flow, outcome), Done):
                outcome = self._done(effect, world)
        except BaseException:
            if isinstance(outcome, Reply):
                response_of(outcome).close()
            raise
        finally:
            flow.close()
        return effect.value

    def body(self, reply: Reply, clock: Callable[[], float], deadline: float) -> SyncBody:
        """The body of a reply that is open, until `deadline` on `clock`."""
        return SyncBody(response_of(reply), Meter(clock, deadline), owner=self)

    def close(self) -> None:
        """Close our own client; a later call makes a new one."""
        with self._lock:
            client, self._own = self._own, None
        if client is not None:
            client.close()

    def after_fork(self) -> None:
        """Leave the parent its connections, and a lock that another of its threads may have held."""
        self._lock = threading.Lock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._own = None

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def _done(self, effect: Effect, world: Network) -> Outcome:
        if not isinstance(effect, Sleep):
            return self._send(effect, world)
        world.sleep(effect.seconds)
        return None

    def _send(self, send: Send, world: Network) -> Outcome:
        client = self._given or self._opened(world)
        try:
            request = request_of(client, send)
            auth = None if send.abroad else httpx2.USE_CLIENT_DEFAULT
            response = client.send(request, stream=True, auth=auth, follow_redirects=False)
        except httpx2.HTTPStatusError as error:  # a given client's hook asked for it
            return reply_of(error.response, content_of(error.response))
        except SENDING_ERRORS as error:
            return unsent(error, client, is_own=self._given is None)
        if stays_open(send, response):
            return reply_of(response, b"")
        try:
            return whole_reply(response, SyncBody(response, Meter(world.now, send.deadline, _LARGEST_BODY)).read())
        except BodyBrokenError as error:
            return broken_reply(response, error)
        finally:
            response.close()

    def _opened(self, world: Network) -> SyncClient:
        with self._lock:
            if self._own is not None and self._world is not world:
                self._own.close()
                self._own = None
            if self._own is None:
                self._own, self._world = world.client(), world
            return self._own


class AsyncTransport:
    """Runs calls over an async client; makes its own, one per event loop, unless it is given one."""

    def __init__(self, client: AsyncClient | None = None) -> None:
        self._given = _httpx2(client, httpx2.AsyncClient, "async_client")
        self._own = ClientsOfLoops()
        renew_after_fork(self)

    async def run(self, call: Call, finish: Callable[[Reply, Watch], T]) -> T:
        """Live through `call`, and return what `finish` makes of its answer; raises its `SDKError`.

        The reply of a stream is open: `finish` reads it with `body`.
        """
        world = network.current()
        flow = life(call, world.now, finish)
        outcome: Outcome = None
        try:
            while not isinstance(effect := advance(flow, outcome), Done):
                outcome = await self._done(effect, world)
        except BaseException:
            if isinstance(outcome, Reply):
                await response_of(outcome).aclose()
            raise
        finally:
            flow.close()
        return effect.value

    def body(self, reply: Reply, clock: Callable[[], float], deadline: float) -> AsyncBody:
        """The body of a reply that is open, until `deadline` on `clock`."""
        return AsyncBody(response_of(reply), Meter(clock, deadline), owner=self)

    async def aclose(self) -> None:
        """Close our own clients, of other event loops in the background; a later call makes a new one."""
        await self._own.aclose()

    def after_fork(self) -> None:
        """Leave the parent its connections; they belong to a loop that does not run here, and can't even be dropped."""
        leave_to_parent(self._own)
        self._own = ClientsOfLoops()

    def __del__(self) -> None:
        with suppress(Exception):
            self._own.close_soon()

    async def _done(self, effect: Effect, world: Network) -> Outcome:
        if not isinstance(effect, Sleep):
            return await self._send(effect, world)
        await world.sleep_async(effect.seconds)
        return None

    async def _send(self, send: Send, world: Network) -> Outcome:
        import anyio

        with anyio.move_on_after(send.limits.total + _GRACE):
            return await self._exchanged(send, world)
        return LATE

    async def _exchanged(self, send: Send, world: Network) -> Outcome:
        client = self._given or self._own.client(world)
        try:
            request = request_of(client, send)
            auth = None if send.abroad else httpx2.USE_CLIENT_DEFAULT
            response = await client.send(request, stream=True, auth=auth, follow_redirects=False)
        except httpx2.HTTPStatusError as error:  # a given client's hook asked for it
            return reply_of(error.response, content_of(error.response))
        except SENDING_ERRORS as error:
            return unsent(error, client, is_own=self._given is None)
        if stays_open(send, response):
            return reply_of(response, b"")
        body = AsyncBody(response, Meter(world.now, send.deadline, _LARGEST_BODY))
        try:
            return whole_reply(response, await body.read())
        except BodyBrokenError as error:
            return broken_reply(response, error)
        finally:
            await body.aclose()


def _httpx2(given: C | None, kind: type[C], name: str) -> C | None:
    if given is None or isinstance(given, kind):
        return given
    raise InvalidRequestError(f"{name} should be an httpx2.{kind.__name__}", field=name)
