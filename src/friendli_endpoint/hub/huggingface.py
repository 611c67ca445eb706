"""A model or an adapter of the Hugging Face hub, by id: `org/name`, or `org/name/file.gguf` for one GGUF file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError
from friendli_endpoint.hub import local
from friendli_endpoint.hub.cache import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from friendli_endpoint.hub.progress import Progress


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be fetched: the files that make it, and the one without which a repository is none."""

    noun: str
    files: tuple[str, ...]
    weights: str
    check: Callable[[Path], Path]


# Weights by the names that `transformers` and `peft` give them: a repository may hold the same under others as well.
MODEL = Kind(
    "model",
    (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "model.safetensors",
        "model-*-of-*.safetensors",
        "model.safetensors.index.json",
    ),
    "model.safetensors",
    local.check,
)
ADAPTER = Kind(
    "adapter",
    ("adapter_config.json", "adapter_model.safetensors"),
    "adapter_model.safetensors",
    local.check_adapter,
)


def fetch(name: str, kind: Kind, progress: Progress) -> Path:
    """The folder or file of a hub id, fetched unless it is there; a copy already fetched is enough when offline."""
    repository, file = split(name)
    progress.note(f"looking for {repository} on the Hugging Face hub")
    with _explained(name, repository, kind):
        return _file(repository, file, kind) if file else _folder(repository, kind)


def split(name: str) -> tuple[str, str]:
    """`org/name/file.gguf` -> (`org/name`, `file.gguf`); the file is empty when none is named."""
    organisation, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    return f"{organisation}/{repository}", file


def cached() -> Iterator[tuple[str, Path]]:
    """Names and places of the models fetched earlier, by this or another program."""
    for snapshot in sorted(_cache().glob("models--*/snapshots/*")):
        repository = snapshot.parents[1].name.removeprefix("models--").replace("--", "/", 1)
        if (snapshot / "config.json").is_file() and any(snapshot.glob("*.safetensors")):
            yield repository, snapshot
        for file in sorted(snapshot.rglob("*.gguf")):
            yield f"{repository}/{file.relative_to(snapshot)}", file


def _cache() -> Path:
    """The hub client's own cache, shared with other programs, unless FRIENDLI_CACHE moves ours."""
    if os.environ.get("FRIENDLI_CACHE"):
        return cache_dir() / "huggingface"
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _file(repository: str, file: str, kind: Kind) -> Path:
    path = _snapshot(repository, (file,)) / file
    if not path.is_file():
        raise HubError(f"the hub's {repository} has no file {file}; check its name there")
    return kind.check(path)


def _folder(repository: str, kind: Kind) -> Path:
    found = _snapshot(repository, kind.files)
    if not any(any(found.glob(pattern)) for pattern in kind.files if pattern.endswith(".safetensors")):
        raise HubError(
            f"{repository} has no {kind.weights} on the hub; take a repository that has, "
            f"or name a GGUF file in it: {repository}/FILE.gguf"
        )
    return kind.check(found)


def _snapshot(repository: str, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download  # slow to import, seldom needed

    # The library looks at HF_ENDPOINT when it is imported; a mirror named later counts too.
    endpoint = os.environ.get("HF_ENDPOINT") or None
    return Path(snapshot_download(repository, cache_dir=_cache(), allow_patterns=list(patterns), endpoint=endpoint))


@contextmanager
def _explained(name: str, repository: str, kind: Kind) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{repository} asks for agreement first: accept its terms at https://huggingface.co/{repository} "
            "and set HF_TOKEN to a token of that account"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise HubError(
            f"the Hugging Face hub has no {kind.noun} {repository}; "
            "check the id (a private one needs HF_TOKEN), or the path"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(_offline(name)) from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"the hub's {repository} has no such file; check the name in {name}") from error
    except OSError as error:  # the hub's HTTP and offline errors, and the disk's, are all of this kind
        raise HubError(_offline(name) if not error.errno else f"{name} could not be stored: {error}") from error


def _offline(name: str) -> str:
    return f"{name} is not in the cache and the Hugging Face hub could not be reached; connect, or name one on disk"
