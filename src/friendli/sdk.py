"""The clients: what a program makes once and calls often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar, Unpack

from friendli._checks import shown
from friendli._closing import AsyncClosing, Closing
from friendli._settings import ClientOptions, Settings
from friendli._transport import AsyncTransport, SyncTransport
from friendli.completions import AsyncCompletions, FriendliCompletions, SyncCompletions

if TYPE_CHECKING:
    from friendli._checks import Token
    from friendli._transport import AsyncClient, SyncClient

Completions = TypeVar("Completions", SyncCompletions, AsyncCompletions, FriendliCompletions)


@dataclass(frozen=True)
class Dedicated(Generic[Completions]):
    """The operations on dedicated endpoints."""

    completions: Completions


class _Client:
    """What all clients have."""

    _settings: Settings

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server_url={shown(self._settings.server_url)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client can be neither pickled nor copied: make one where it is needed, or share this one")


class SyncFriendli(_Client, Closing):
    """The blocking client. Use it as it is, or as a context manager that closes its connections.

    `token` is a string, or a callable that gives one for each attempt; None reads FRIENDLI_TOKEN. `client` is an HTTP
    client of your own, which is left open. Raises `InvalidRequestError` for settings that cannot work. Safe to share
    between threads.
    """

    def __init__(
        self, token: Token | None = None, *, client: SyncClient | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        self._settings = Settings.of(token, options)
        self._transport = SyncTransport(client)
        self.dedicated = Dedicated(SyncCompletions(self._settings, self._transport))

    def close(self) -> None:
        """Close the connections that are the client's own."""
        self._transport.close()


class AsyncFriendli(_Client, AsyncClosing):
    """The async client. Use it as it is, or as an async context manager that closes its connections.

    `async_client` is an HTTP client of your own, which is left open; the rest is as with `SyncFriendli`.
    """

    def __init__(
        self, token: Token | None = None, *, async_client: AsyncClient | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        self._settings = Settings.of(token, options)
        self._transport = AsyncTransport(async_client)
        self.dedicated = Dedicated(AsyncCompletions(self._settings, self._transport))

    async def aclose(self) -> None:
        """Close the connections that are the client's own."""
        await self._transport.aclose()


class Friendli(_Client, Closing, AsyncClosing):
    """Both in one: `complete` and `stream` block, `complete_async` and `stream_async` are awaited.

    Arguments are those of `SyncFriendli` and `AsyncFriendli` together. `with` closes the blocking connections, `async
    with` all of them.
    """

    def __init__(
        self,
        token: Token | None = None,
        *,
        client: SyncClient | None = None,
        async_client: AsyncClient | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._settings = Settings.of(token, options)
        self._transport = SyncTransport(client)
        self._async_transport = AsyncTransport(async_client)
        self.dedicated = Dedicated(FriendliCompletions(self._settings, self._transport, self._async_transport))

    def close(self) -> None:
        """Close the blocking connections that are the client's own."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close all connections that are the client's own."""
        self._transport.close()
        await self._async_transport.aclose()
