"""A path -> an adapter, whatever its format."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from friendli_endpoint.errors import AdapterError, ModelError
from friendli_endpoint.model.adapters.from_gguf import read_gguf
from friendli_endpoint.model.adapters.from_peft import WEIGHTS, read_peft

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from friendli_endpoint.model.adapters.adapter import Adapter
    from friendli_endpoint.model.config import ModelConfig


def read_adapter(path: Path, config: ModelConfig) -> Adapter:
    """A peft folder or a GGUF LoRA file, checked against the model whole. AdapterError when it cannot be served."""
    with _adapter_errors(path):
        if path.is_dir():
            return read_peft(path, config)
        if not path.exists():
            raise AdapterError(f"there is no adapter at {path}")
        if path.name == WEIGHTS:
            raise AdapterError(f"{path} is one file of an adapter; name its folder: {path.parent}")
        return read_gguf(path, config)


@contextmanager
def _adapter_errors(path: Path) -> Iterator[None]:
    """The readers of files are the models', so they raise ModelError; here it is the adapter that is broken."""
    try:
        yield
    except ModelError as error:
        raise AdapterError(str(error)) from error
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror or error}") from error
