"""Single keys of a terminal, without waiting for a line."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Keys:
    """Keys of a file descriptor; None has none."""

    def __init__(self, source: int | None) -> None:
        self._source = source

    def within(self, seconds: float, key: str) -> bool:
        """Wait so long, or until `key` is pressed; whether it was. Others are ignored."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._source is None:
                time.sleep(left)
            elif select.select([self._source], [], [], left)[0] and self._pressed(self._source, key):
                return True
        return False

    def _pressed(self, source: int, key: str) -> bool:
        read = os.read(source, 64)
        if not read:  # the terminal is gone, and would be "ready" for ever
            self._source = None
        return key.encode() in read.lower()


@contextmanager
def keys() -> Iterator[Keys]:
    """Keys of standard input, if it is a terminal; Ctrl-C stays what it is."""
    if not sys.stdin.isatty():
        yield Keys(None)
        return
    import termios
    import tty

    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    tty.setcbreak(source)
    try:
        yield Keys(source)
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)
