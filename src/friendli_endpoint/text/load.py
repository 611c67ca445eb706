"""A model's path -> its tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.text import from_folder, from_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.text.tokenizer import Tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a GGUF file or of a Hugging Face model folder.

    Raises ModelError, naming what is missing, broken or not supported.
    """
    return from_folder.load(path) if path.is_dir() else from_gguf.load(path)
