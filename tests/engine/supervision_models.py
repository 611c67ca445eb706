"""Models that misbehave, which children load by name from the tests' folder; `EngineOptions.model` says in what way."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

from friendli_endpoint.engine.fake_model import FakeStepModel

POISON = 96
"""A prompt that begins with this token is poison for `load_poisonable`."""


class _Watched(FakeStepModel):
    """Calls `seen` with each row's context, computed by a forward, before the forward returns."""

    def seen(self, context):
        raise NotImplementedError

    def forward(self, batch):
        logits = super().forward(batch)
        for row in range(len(batch.past_lens)):
            self.seen(self._context(batch, row).tolist())
        return logits


def load_poisonable(options):
    """`options.model` is how a poison works ("die" or "hang"), and at which length of its context."""
    how, length = options.model.split()

    class Mine(_Watched):
        def seen(self, context):
            if context[0] == POISON and len(context) >= int(length):
                misbehave(how)

    return Mine(blocks=200)


def load_once_broken(options):
    """`options.model` is a way to misbehave after some steps, and a file that says that it has not happened yet."""
    how, path = options.model.split()

    class Mine(_Watched):
        def seen(self, context):
            if len(context) == 20 and Path(path).exists():
                Path(path).unlink()
                misbehave(how)

    return Mine(blocks=200)


def load_for_ever(options):
    """Unless `options.model` is a file that exists, which allows it once."""
    if not Path(options.model).exists():
        time.sleep(600)
    Path(options.model).unlink()
    return FakeStepModel(blocks=200)


def misbehave(how):
    connection = int(sys.argv[1])
    match how:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(1)
        case "raise":
            raise RuntimeError("broken")
        case "close":
            socket.socket(fileno=os.dup(connection)).shutdown(socket.SHUT_RDWR)
        case "garble":
            os.write(connection, b"\x05\x00\x00\x00hello")
        case "leave":
            if os.fork():
                os._exit(1)
            while os.read(connection, 1 << 16):  # a child of its own holds the connection until the other end lets go
                pass
            os._exit(0)
    time.sleep(600)
