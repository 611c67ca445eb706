"""The engine's process: frames in, steps, frames out. `python -m friendli_endpoint.engine.worker FD`.

FD is one end of a socket pair. The first frame is `EngineOptions`, the answer `Ready` or `LoadFailed`. The process ends
when the other end closes, whatever the reason, so a server that was killed leaves no engine behind, and no spool.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from contextlib import closing, contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final, Literal

from friendli_endpoint.engine.core import EngineCore
from friendli_endpoint.engine.frames import FrameDecoder, encode_frame
from friendli_endpoint.engine.loading import find_loader, find_vocabulary
from friendli_endpoint.engine.options import EngineOptions, ToChild
from friendli_endpoint.engine.plan import Limits
from friendli_endpoint.engine.vocabulary import LoadFailed, Ping, Ready, Stepped
from friendli_endpoint.errors import EndpointError
from friendli_endpoint.sampling.grammar import Grammars
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler
from friendli_endpoint.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.engine.vocabulary import FromEngine

_CHUNK: Final = 1 << 16


class OtherEndGone(Exception):  # noqa: N818 - the way this process ends
    """Nobody waits for an answer any more."""


class Inbox:
    """Messages of the other end, read by a thread so that a running step never blocks the writer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._queue: SimpleQueue[ToChild | Literal["wake"] | None] = SimpleQueue()
        self._decoder: FrameDecoder[ToChild] = FrameDecoder(ToChild)
        Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self, *, wait: bool) -> Iterator[ToChild]:
        """What has arrived, after waiting for the first message if asked. Raises `OtherEndGone`."""
        while wait or not self._queue.empty():
            message = self._queue.get()
            if message is None:
                raise OtherEndGone
            if message != "wake":
                yield message
            wait = False

    def wake(self) -> None:
        """End a wait although nothing has arrived; from any thread."""
        self._queue.put("wake")

    def _read(self) -> None:
        try:
            while data := self._connection.recv(_CHUNK):
                for message in self._decoder.feed(data):
                    self._queue.put(message)
        except ConnectionError:
            pass  # the other end has gone without reading what was sent last
        finally:
            self._queue.put(None)


def serve(connection: socket.socket) -> None:
    """Load what the first frame says and step until the other end closes."""
    inbox = Inbox(connection)
    options = next(inbox.take(wait=True))
    if not isinstance(options, EngineOptions):
        raise TypeError("the first frame is not EngineOptions")
    with _last_in(options.spool):
        try:
            model = find_loader(options.loader)(options)
        except EndpointError as error:
            _post(connection, LoadFailed(str(error)))
        else:
            _step(model, options, inbox, connection)


@contextmanager
def _last_in(spool: str | None) -> Iterator[None]:
    """Remove the spool when the other end goes first: it does so only to end, and perhaps has not been able to.

    A child that fails leaves it for the next one.
    """
    try:
        yield
    except OtherEndGone:
        if spool is not None:
            shutil.rmtree(spool, ignore_errors=True)
        raise


def _step(model: StepModel, options: EngineOptions, inbox: Inbox, connection: socket.socket) -> None:
    limits = Limits(options.max_rows, options.step_tokens or max(512, 2 * options.max_rows))
    with (
        closing(_grammars(model, options)) as grammars,
        closing(_sampler(model, options)) as sampler,
        closing(EngineCore(model, sampler, limits, grammars=grammars, wake=inbox.wake, verify=options.verify)) as core,
    ):
        _post(connection, Ready(model.card))
        _run(core, inbox, connection)


def _grammars(model: StepModel, options: EngineOptions) -> Grammars:
    vocabulary = find_vocabulary(options.vocabulary)
    return Grammars(lambda: vocabulary(options), model.card.vocab_size)


def _sampler(model: StepModel, options: EngineOptions) -> Sampler:
    return Sampler(HeadFinder(model.card.vocab_size, threads=options.threads))


def _run(core: EngineCore, inbox: Inbox, connection: socket.socket) -> None:
    while True:
        pings = _receive(core, inbox)
        if events := core.step():
            _post(connection, Stepped(tuple(events)))
        for ping in pings:  # behind the step, so that an answer is a sign of progress
            _post(connection, core.pulse(ping.number))


def _receive(core: EngineCore, inbox: Inbox) -> list[Ping]:
    """Give the core what has arrived; the pings among it."""
    pings = []
    for message in inbox.take(wait=not core.busy):
        match message:
            case EngineOptions():
                raise TypeError("only the first frame is EngineOptions")
            case Ping():
                pings.append(message)
            case _:
                core.receive(message)
    return pings


def _post(connection: socket.socket, message: FromEngine) -> None:
    try:
        connection.sendall(encode_frame(message))
    except ConnectionError as error:
        raise OtherEndGone from error


def main() -> None:
    # A service manager's signals reach every process of a service; when to end is the server's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    status = 0
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        try:
            serve(connection)
        except OtherEndGone:
            pass
        except Exception as error:
            sys.stderr.write(f"the engine failed:\n{trace_of(error)}\n")
            status = 1
    # Nobody waits for what threads still do, and it may never end; but the other end waits for this process to.
    os._exit(status)


if __name__ == "__main__":
    main()
