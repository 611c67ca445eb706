"""Adapters on disk, in a folder of one engine: what they were made from may change or go, and they need no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.files.safetensors_file import read_file, write_file
from friendli_endpoint.model.adapters.adapter import Adapter, LowRank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A, B = ".a", ".b"
SUFFIX, UNPROVEN = ".safetensors", ".new"


class Spool:
    """A file per adapter. What is read back is memory-mapped: the system keeps of it what it has room for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Adapter | None:
        """An adapter kept earlier, perhaps by a process that has ended since."""
        path = self._path(key)
        return _mapped(path) if path.exists() else None

    def all(self) -> Iterator[Adapter]:
        """Every adapter that is kept."""
        return map(_mapped, self._folder.glob(f"*{SUFFIX}"))

    def store(self, key: str, adapter: Adapter) -> Adapter:
        """The same adapter, from a file that is not kept yet. AdapterError when the disk does not take it."""
        path = self._path(key).with_suffix(UNPROVEN)
        changes = adapter.changes.items()
        tensors = {f"{n}{A}": each.a for n, each in changes} | {f"{n}{B}": each.b for n, each in changes}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # temporary folders are swept by some systems
            write_file(path, tensors)
        except OSError as error:
            self.remove(key)
            raise AdapterError(f"the adapter cannot be stored in {self._folder}: {error.strerror}") from error
        return _mapped(path)

    def keep(self, key: str) -> None:
        """Let a stored adapter count: it has been loaded, so it does not end the process that does so again."""
        path = self._path(key)
        if (stored := path.with_suffix(UNPROVEN)).exists():
            stored.replace(path)

    def remove(self, key: str) -> None:
        path = self._path(key)
        path.unlink(missing_ok=True)
        path.with_suffix(UNPROVEN).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"


def _mapped(path: Path) -> Adapter:
    tensors = read_file(path)
    names = [name.removesuffix(A) for name in tensors if name.endswith(A)]
    return Adapter({n: LowRank(tensors[f"{n}{A}"].float32(), tensors[f"{n}{B}"].float32()) for n in names})
