"""The server's end of one engine process: spawn, send, receive, end.

However a child ends, its messages end: when it dies, closes the connection, or sends what is no frame. `close` then
sees to it that nothing of it is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import msgspec

from friendli_endpoint.engine.frames import FrameDecoder, encode_frame
from friendli_endpoint.engine.vocabulary import FromEngine, LoadFailed, Ready
from friendli_endpoint.errors import EngineError, ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from friendli_endpoint.engine.options import EngineOptions, ToChild
    from friendli_endpoint.engine.vocabulary import Pulse, Stepped

_CHUNK: Final = 1 << 18
_GRACE_SECONDS: Final = 5.0
_LAST_MOMENT_SECONDS: Final = 1.0
"""What a child that has ended its messages may take to end itself."""


class Link:
    """One child process, from its start to its end; it is never restarted, a new one is opened instead."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._frames = self._decode()
        self._trouble: str | None = None
        self._ended = False

    @classmethod
    async def open(cls, options: EngineOptions) -> Link:
        """Start a child and tell it what to load."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as on_failure:
            on_failure.callback(ours.close)
            # Not asyncio's subprocesses: those need a child watcher, which an embedded loop's thread may not have.
            command = [sys.executable, "-m", "friendli_endpoint.engine.worker", str(theirs.fileno())]
            # A process group of its own: Ctrl-C in a terminal reaches the server alone, which decides when to end.
            process = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as the program is executed
                command, pass_fds=[theirs.fileno()], process_group=0, stdin=subprocess.DEVNULL, stdout=sys.__stderr__
            )
            on_failure.pop_all()
        link = cls(process, *await asyncio.open_connection(sock=ours))
        link.send(options)
        return link

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether the process has ended, although the connection may not have. It keeps its id until `close`."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def ending(self) -> str:
        """How the process ended, or why it was ended, for the log."""
        if self._trouble is not None:
            return self._trouble
        return _ending_of(self._process.returncode)

    def send(self, message: ToChild) -> None:
        """Write a message; when the child has just died it is dropped: the next child is told everything anew."""
        if not self._writer.is_closing():  # uvloop, unlike asyncio, raises on a closed transport
            self._writer.write(encode_frame(message))

    async def ready(self, seconds: float) -> Ready:
        """The child's first frame, within so many seconds, or it is killed.

        `ModelError` when it says that it cannot load, `EngineError` when it just died or took too long.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._first()
        except TimeoutError:
            self.kill(f"not ready within {seconds:g} s")
            raise EngineError(f"the engine was not ready within {seconds:g} s, so its process was ended") from None

    async def messages(self) -> AsyncIterator[Stepped | Pulse]:
        """What each step brought, and answers to pings, until the child is gone."""
        async for message in self._frames:
            if not isinstance(message, Ready | LoadFailed):
                yield message

    def kill(self, trouble: str) -> None:
        """End the child at once, for a reason that `ending` repeats; its messages end, too."""
        self._trouble = self._trouble or trouble
        self._process.kill()
        self._writer.transport.abort()

    async def close(self) -> None:
        """Let the child end by itself, kill it when it does not; returns when it is gone and its connection closed."""
        self._writer.close()
        try:
            await asyncio.to_thread(self._process.wait, _LAST_MOMENT_SECONDS if self._ended else _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill("it went on without its connection" if self._ended else "it did not end when it was told to")
            await asyncio.to_thread(self._process.wait)
        self._writer.transport.abort()

    async def _first(self) -> Ready:
        async for message in self._frames:
            match message:
                case Ready():
                    return message
                case LoadFailed(reason):
                    raise ModelError(reason)
                case _:
                    break
        await self.close()
        raise EngineError(f"the engine process ended with {self.ending} before it was ready")

    async def _decode(self) -> AsyncIterator[FromEngine]:
        decoder: FrameDecoder[FromEngine] = FrameDecoder(FromEngine)
        try:
            while data := await self._reader.read(_CHUNK):
                for message in decoder.feed(data):
                    yield message
        except ConnectionError:
            pass  # a killed child resets the connection: the same end as a closed one
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.kill("it sent what is no message")
        self._ended = True


def _ending_of(code: int | None) -> str:
    if code is None or code >= 0:
        return f"status {code}"
    names = {each.value: each.name for each in signal.Signals}
    return names.get(-code, f"signal {-code}")
