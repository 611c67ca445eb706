"""The server's end of one engine process: spawn, send, receive, end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.frames import FrameDecoder, encode_frame
from friendli_endpoint.engine.vocabulary import FromEngine, LoadFailed, Ready
from friendli_endpoint.errors import EngineError, ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from friendli_endpoint.engine.options import EngineOptions, ToChild
    from friendli_endpoint.engine.vocabulary import Stepped

_CHUNK: Final = 1 << 18
_GRACE_SECONDS: Final = 5.0


class Link:
    """One child process, from its start to its end; it is never restarted, a new one is opened instead."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._frames = self._decode()

    @classmethod
    async def open(cls, options: EngineOptions) -> Link:
        """Start a child and tell it what to load."""
        ours, theirs = socket.socketpair()
        with theirs:
            # Not asyncio's subprocesses: those need a child watcher, which an embedded loop's thread may not have.
            command = [sys.executable, "-m", "friendli_endpoint.engine.worker", str(theirs.fileno())]
            # A process group of its own: Ctrl-C in a terminal reaches the server alone, which decides when to end.
            process = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as the program is executed
                command, pass_fds=[theirs.fileno()], process_group=0, stdin=subprocess.DEVNULL, stdout=sys.__stderr__
            )
        link = cls(process, *await asyncio.open_connection(sock=ours))
        link.send(options)
        return link

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: ToChild) -> None:
        """Write a message; when the child has just died it is dropped: the next child is told everything anew."""
        if not self._writer.is_closing():  # uvloop, unlike asyncio, raises on a closed transport
            self._writer.write(encode_frame(message))

    async def ready(self) -> Ready:
        """The child's first frame; `ModelError` when it says that it cannot load, `EngineError` when it just died."""
        async for message in self._frames:
            match message:
                case Ready():
                    return message
                case LoadFailed(reason):
                    raise ModelError(reason)
                case _:
                    break
        code = await asyncio.to_thread(self._process.wait)
        raise EngineError(f"the engine process ended with status {code} before it was ready")

    async def steps(self) -> AsyncIterator[Stepped]:
        """What each step brought, until the child is gone."""
        async for message in self._frames:
            if not isinstance(message, Ready | LoadFailed):
                yield message

    async def close(self) -> None:
        """Let the child end by itself, kill it when it does not; returns when it is gone."""
        self._writer.close()
        try:
            await asyncio.to_thread(self._process.wait, _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    async def _decode(self) -> AsyncIterator[FromEngine]:
        decoder: FrameDecoder[FromEngine] = FrameDecoder(FromEngine)
        try:
            while data := await self._reader.read(_CHUNK):
                for message in decoder.feed(data):
                    yield message
        except ConnectionError:
            return  # a killed child resets the connection: the same end as a closed one
