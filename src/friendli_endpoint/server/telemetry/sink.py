"""Where the lines of the log go: to standard error, in a thread of its own, so that who does not read stops nobody."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

from friendli_endpoint.server.telemetry.lines import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from friendli_endpoint.server.telemetry.lines import LogKind

_MOST_LINES: Final = 10_000
_FAREWELL_SECONDS: Final = 2.0
_OURS: Final = ("friendli", "friendli_endpoint")


class Sink(logging.Handler):
    """A handler that never blocks and never raises: a line that finds no room is dropped and counted."""

    def __init__(self, stream: TextIO, most: int = _MOST_LINES) -> None:
        super().__init__()
        self.dropped = 0
        self._stream = stream
        self._lines: Queue[str | None] = Queue(most)
        self._writer = Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except Exception:  # a full queue, or a record that cannot be written as a line
            self.dropped += 1

    def close(self) -> None:
        """Wait a little for what is still to be written."""
        try:
            self._lines.put(None, timeout=_FAREWELL_SECONDS)
        except Full:
            pass  # nobody reads; the thread ends with the process
        else:
            self._writer.join(_FAREWELL_SECONDS)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except (OSError, ValueError):  # the reader is gone, or the stream is closed
                self.dropped += 1


@contextmanager
def configured_logging(kind: LogKind, stream: TextIO | None = None, *, level: int = logging.INFO) -> Iterator[Sink]:
    """Write what our loggers say from `level` on, and warnings of all others, to `stream` (default: standard error)."""
    sink = Sink(sys.stderr if stream is None else stream)
    sink.setFormatter(FORMATS[kind]())
    before = {name: logging.getLogger(name).level for name in _OURS}
    logging.getLogger().addHandler(sink)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    try:
        yield sink
    finally:
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)
        logging.getLogger().removeHandler(sink)
        sink.close()
