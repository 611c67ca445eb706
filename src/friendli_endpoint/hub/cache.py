"""The cache on disk: where it is, who may write to it now, and what an interrupted write leaves (nothing).

A model's folder holds its finished file under its own name; all work in progress happens in a folder beside it, under
a lock, and ends with one atomic rename.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.hub.progress import Progress

_WORK_PREFIX = ".fetching-"
_MOVE_IT = "set FRIENDLI_CACHE to a folder"


def cache_dir() -> Path:
    """The folder of everything fetched: FRIENDLI_CACHE, else the user's XDG cache. It may not exist yet."""
    if chosen := os.environ.get("FRIENDLI_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and to be ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "friendli"


@contextmanager
def writing(folder: Path, needed: int, progress: Progress) -> Iterator[Path]:
    """Make `folder`, lock it against other processes, and yield an empty work folder inside it.

    The work folder goes away afterwards, and so does what a killed process left. `needed` is the room in bytes
    that the work takes. Failures of the file system, in the body too, become a HubError.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / ".lock", progress):
            _remove_stale(folder)
            _require_room(folder, needed)
            work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=folder))
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)


def commit(finished: Path, target: Path) -> None:
    """Move a complete file to its name, durably: whoever sees `target` sees all of it."""
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    finished.replace(target)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note("another process is fetching this model; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file releases the lock, as does the end of the process


def _remove_stale(folder: Path) -> None:
    # Whoever made these held the lock, so it is gone. A downloader orphaned with it may still write: never fail on it.
    for left in folder.glob(f"{_WORK_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise HubError(
            f"fetching needs {_mb(needed)} of room in {folder}, which has {_mb(free)}; "
            f"free some, or {_MOVE_IT} with room"
        )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HubError(_sentence(error, folder)) from error


def _sentence(error: OSError, folder: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {folder} is full; free some room, or {_MOVE_IT} with room"
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return f"the cache folder {folder} cannot be written to; make it writable, or {_MOVE_IT} that is"
    return f"the cache folder {folder} cannot be used ({error.strerror or error}); {_MOVE_IT} that can be written to"


def _mb(size: int) -> str:
    return f"{-(-size // 1_000_000):,} MB"
