"""The folder in which a model keeps the adapters that it has been given."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


class Spool:
    """For this user alone; children come and go, it stays until `remove`."""

    def __init__(self) -> None:
        self._path: str | None = None

    def make(self) -> str | None:
        """Its path; None when there is no place for it."""
        try:
            self._path = tempfile.mkdtemp(prefix="friendli-adapters-")
        except OSError as error:
            _log.warning("no folder can be made in %s, so there can be no adapters: %s", tempfile.gettempdir(), error)
        return self._path

    def sweep(self, has: Callable[[str], bool]) -> None:
        """Remove what was dropped while no child could be told; files are named for their adapters' keys."""
        if self._path is None:
            return
        for file in Path(self._path).iterdir():
            if not has(file.stem):
                file.unlink(missing_ok=True)

    def remove(self) -> None:
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
