"""A model of the Hugging Face hub, by id: `org/name`, or `org/name/file.gguf` for one GGUF file of a repository."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError
from friendli_endpoint.hub import local
from friendli_endpoint.hub.cache import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.hub.progress import Progress

# Weights by the names that `transformers` gives them: a repository may hold the same weights under others as well.
_FILES = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
]


def fetch(name: str, progress: Progress) -> Path:
    """The folder or file of a hub id, fetched unless it is there; a copy already fetched is enough when offline."""
    repository, file = split(name)
    progress.note(f"looking for {repository} on the Hugging Face hub")
    with _explained(name, repository):
        return _file(repository, file) if file else _folder(repository)


def split(name: str) -> tuple[str, str]:
    """`org/name/file.gguf` -> (`org/name`, `file.gguf`); the file is empty when none is named."""
    organisation, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    return f"{organisation}/{repository}", file


def folder_of_cache() -> Path | None:
    """Where the hub's own client keeps its files; None is its default, shared with other programs."""
    return cache_dir() / "huggingface" if os.environ.get("FRIENDLI_CACHE") else None


def _file(repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    return local.check(Path(hf_hub_download(repository, file, cache_dir=folder_of_cache())))


def _folder(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    found = Path(snapshot_download(repository, cache_dir=folder_of_cache(), allow_patterns=_FILES))
    if not any(found.glob("*.safetensors")):
        raise HubError(
            f"{repository} has no model.safetensors on the hub; take a repository that has, "
            f"or name a GGUF file in it: {repository}/FILE.gguf"
        )
    return local.check(found)


@contextmanager
def _explained(name: str, repository: str) -> Iterator[None]:
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
            f"the Hugging Face hub has no model {repository}; check the id (a private one needs HF_TOKEN)"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(_offline(name)) from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"the hub's {repository} has no such file; check the name in {name}") from error
    except OSError as error:  # the hub's HTTP and offline errors, and the disk's, are all of this kind
        raise HubError(_offline(name) if not error.errno else f"{name} could not be stored: {error}") from error


def _offline(name: str) -> str:
    return f"{name} is not in the cache and the Hugging Face hub could not be reached; connect, or name a model on disk"
