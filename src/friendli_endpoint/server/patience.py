"""How long and how much a connection may make the server wait, below HTTP: before a request's head is there, and while
its reply is not read. Bodies have their own bounds (limits.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from friendli_endpoint.config import ServerSettings

# Larger heads than the app answers with 431, so that an honest client learns what is wrong.
_MOST_HEAD_BYTES = 64 * 2**10


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP connection, ended when a head is too long or too slow, or when nobody reads the reply.

    An ended connection is a client that has left: its request is aborted and its place is free.
    """

    header_seconds: float
    stall_seconds: float
    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._head_timer)
        _cancel(self._stall_timer)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        _cancel(self._head_timer)
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        _cancel(self._stall_timer)
        super().resume_writing()

    def _await_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        _cancel(self._head_timer)
        self._head_timer = self.loop.call_later(self.header_seconds, self.transport.abort)


def protocol_of(settings: ServerSettings) -> type[PatientProtocol]:
    """The protocol class for uvicorn, which makes its instances itself."""
    times = {"header_seconds": settings.header_seconds, "stall_seconds": settings.stall_seconds}
    return type("Patient", (PatientProtocol,), times)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
