"""A model or an adapter that is already on disk: a GGUF file, or a folder as `save_pretrained` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError

if TYPE_CHECKING:
    from pathlib import Path

_GGUF_MAGIC = b"GGUF"
_EXPECTED = "a GGUF file, or a folder with config.json, tokenizer.json and *.safetensors"


def check(path: Path) -> Path:
    """`path`, if it looks like a model; HubError otherwise. What is inside is for the readers to judge."""
    try:
        return _check_folder(path) if path.is_dir() else _check_file(path)
    except OSError as error:
        raise HubError(f"{path} cannot be read ({error.strerror or error}); a model is {_EXPECTED}") from error


def check_adapter(path: Path) -> Path:
    """`path`, if anything is there; HubError otherwise. What is inside is for the readers to judge."""
    try:
        path.stat()
    except OSError as error:
        raise HubError(
            f"{path} cannot be read ({error.strerror or error}); an adapter is a folder with adapter_config.json "
            "and adapter_model.safetensors, or a GGUF LoRA file"
        ) from error
    return path


def _check_file(path: Path) -> Path:
    with path.open("rb") as file:
        magic = file.read(len(_GGUF_MAGIC))
    if magic == _GGUF_MAGIC:
        return path
    if path.suffix == ".safetensors" or path.name == "config.json":
        raise HubError(f"{path} is one file of a model; name its folder: {path.parent}")
    raise HubError(f"{path} is not a GGUF file (it does not begin with 'GGUF'); a model is {_EXPECTED}")


def _check_folder(path: Path) -> Path:
    missing = [name for name in ("config.json", "tokenizer.json", "*.safetensors") if not any(path.glob(name))]
    if not missing:
        return path
    if ggufs := sorted(path.glob("*.gguf")):
        raise HubError(f"{path} is a folder of GGUF files; name the file, such as {ggufs[0]}")
    raise HubError(f"{path} has no {' and no '.join(missing)}; a model is {_EXPECTED}")
