"""What runs in this process, in memory that outlives it: files of slots, each locked as long as the process lives."""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import uuid
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import EndpointError, LedgerError
from friendli_endpoint.usage.slot import SLOT_BYTES, DamagedError, Slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from friendli_endpoint.usage.records import Line

_log = logging.getLogger(__name__)

_SEGMENT_BYTES: Final = 2**20
_MOST_SEGMENTS: Final = 16
_HEAD: Final = b"friendli usage journal 1\n"
_NAMES: Final = "usage-*.journal"
_DRAFTS: Final = "usage-*.draft"


class Journal:
    """The slots of one process; None for `folder` keeps them in its own memory. It grows up to 16 MiB."""

    def __init__(self, folder: Path | None) -> None:
        """Raises `OSError` when there is no room for the first slots."""
        self._folder = folder
        self._segments: list[_Segment] = []
        self._free: deque[Slot] = deque()
        self._closed = False
        self._grow()

    def take(self) -> Slot:
        """A free slot. Raises `LedgerError` when no more can be kept."""
        try:
            return self._free.popleft()
        except IndexError:
            self._grow_further()
            return self._free.popleft()

    def give_back(self, slot: Slot) -> None:
        """Free a slot; from any thread."""
        slot.clear()
        self._free.append(slot)

    def close(self) -> None:
        """Let go of the files: those with slots in use are left to whoever recovers them, the others are removed."""
        self._closed = True
        self._free.clear()
        while self._segments:
            self._segments.pop().close()

    def _grow_further(self) -> None:
        if self._closed:
            raise LedgerError("The usage ledger is closed; the server is stopping.")
        if len(self._segments) >= _MOST_SEGMENTS:
            raise LedgerError("No more usage can be kept until what is there could be written; see the log.")
        try:
            self._grow()
        except OSError as error:
            raise LedgerError(f"There is no room to keep usage: {error.strerror or error}.") from error

    def _grow(self) -> None:
        segment = _Segment(self._folder)
        self._segments.append(segment)
        self._free.extend(segment.slots)


class _Segment:
    """One file of slots, or as much memory. The first slot's place is the head's."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / f"usage-{uuid.uuid4().hex}.journal"
        self._file = -1 if self._path is None else _locked(self._path)
        memory = memoryview(mmap.mmap(self._file, _SEGMENT_BYTES))
        self.slots = [
            Slot(memory[place : place + SLOT_BYTES]) for place in range(SLOT_BYTES, _SEGMENT_BYTES, SLOT_BYTES)
        ]

    def close(self) -> None:
        if self._path is None:
            return
        if all(slot.free for slot in self.slots):
            self._path.unlink(missing_ok=True)
        # The mapping stays as long as an entry has a slot of it, and has a duplicate of the lock.
        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)


def _locked(path: Path) -> int:
    """A new journal's file, which nobody takes for a dead process's."""
    draft = path.with_suffix(".draft")
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Room that is promised now: a store into a hole of a full disk would end the process.
        os.posix_fallocate(file, 0, _SEGMENT_BYTES)
        os.pwrite(file, _HEAD, 0)
        draft.rename(path)
    except OSError:
        os.close(file)
        draft.unlink(missing_ok=True)
        raise
    return file


@contextmanager
def left_behind(folder: Path) -> Iterator[list[Line]]:
    """What dead processes had in their journals, which are removed after a body that succeeds.

    Raises `EndpointError` for a journal that cannot be read.
    """
    names = sorted([*folder.glob(_NAMES), *folder.glob(_DRAFTS)])
    dead = [(path, file) for path in names if (file := _taken(path)) is not None]
    try:
        yield [line for path, _ in dead if path.match(_NAMES) for line in _lines(path)]
        for path, _ in dead:
            path.unlink(missing_ok=True)
    finally:
        for _, file in dead:
            os.close(file)


def _taken(path: Path) -> int | None:
    """The file, locked; None when its process lives, or another one has just removed it."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _lines(path: Path) -> Iterator[Line]:
    try:
        content = memoryview(bytearray(path.read_bytes()))
    except FileNotFoundError:
        return  # another process was faster
    if bytes(content[: len(_HEAD)]) != _HEAD or len(content) != _SEGMENT_BYTES:
        raise EndpointError(f"{path} is no usage journal, or one of a newer version: move it away, or upgrade.")
    for place in range(SLOT_BYTES, len(content), SLOT_BYTES):
        slot = Slot(content[place : place + SLOT_BYTES])
        if not slot.free:
            try:
                yield slot.line()
            except DamagedError:
                _log.error("%s: what a request used is damaged at byte %d, and is not counted", path, place)
