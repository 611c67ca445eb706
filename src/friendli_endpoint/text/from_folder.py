"""The tokenizer of a Hugging Face model folder: `tokenizer.json` as it is, with the model's own idea of its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import tokenizers

from friendli_endpoint.errors import ModelError
from friendli_endpoint.text.spelling import of_decoder
from friendli_endpoint.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pathlib import Path


def load(folder: Path) -> Tokenizer:
    """BOS, EOS and special tokens are as the folder's own post-processor says. Raises ModelError."""
    backend = _backend(folder / "tokenizer.json")
    try:
        spelling = of_decoder(backend.decoder)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    backend.no_truncation()
    backend.no_padding()
    added = {token: entry.special for token, entry in backend.get_added_tokens_decoder().items()}
    return Tokenizer(backend, spelling, _eos_tokens(folder, backend), added)


def _backend(path: Path) -> tokenizers.Tokenizer:
    if not path.is_file():
        raise ModelError(
            f"{path.parent} has no tokenizer.json, which is needed (a tokenizer.model alone is not enough); "
            "`AutoTokenizer.from_pretrained(...).save_pretrained(...)` writes it"
        )
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for every kind of broken file
        raise ModelError(f"{path} is not a tokenizer that can be read: {error}") from error


def _eos_tokens(folder: Path, backend: tokenizers.Tokenizer) -> tuple[int, ...]:
    """The first of the places where a model says what ends its text, in the order in which `generate` looks."""
    for name in ("generation_config.json", "config.json"):
        config = _object(folder / name)
        if found := _ids(config.get("eos_token_id")):
            return found
    named = _object(folder / "tokenizer_config.json").get("eos_token")
    content = named.get("content") if isinstance(named, dict) else named
    token = backend.token_to_id(content) if isinstance(content, str) else None
    return () if token is None else (token,)


def _object(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} should hold a JSON object")
    return value


def _ids(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(token for token in values if isinstance(token, int) and not isinstance(token, bool))
