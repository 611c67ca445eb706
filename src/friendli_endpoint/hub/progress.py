"""How a fetch tells a person that it goes on: a bar in a terminal, a few plain lines in a log, or nothing."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """Where a fetch reports to."""

    def note(self, sentence: str) -> None:
        """Something worth a line of its own."""

    def transfer(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Open for as long as the transfer of `total` bytes goes on; call the value with the bytes done so far."""


class Silent:
    """Says nothing."""

    def note(self, sentence: str) -> None:
        pass

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda done: None


class Lines:
    """Plain lines for a log: one when a transfer begins, one when it is complete."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def note(self, sentence: str) -> None:
        print(sentence, file=self._out, flush=True)

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.note(f"{title} ({total / 1e6:.1f} MB) ...")
        yield lambda done: None
        self.note(f"{title}: done")


class Bar:
    """A progress bar; needs `rich`."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=out)

    def note(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False)

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        from rich import progress as rich

        columns = (
            rich.TextColumn("{task.description}", markup=False),
            rich.BarColumn(),
            rich.DownloadColumn(),
            rich.TransferSpeedColumn(),
            rich.TimeRemainingColumn(),
        )
        with rich.Progress(*columns, console=self._console) as bars:
            task = bars.add_task(title, total=total)
            yield lambda done: bars.update(task, completed=done)


def terminal_progress() -> Progress:
    """What suits standard error: a bar if it is a terminal (and `rich` is installed), else plain lines."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        return Bar(sys.stderr)
    return Lines(sys.stderr)
