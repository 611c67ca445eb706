"""The tokenizer that a GGUF file's metadata describes, built to give the ids of the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokenizers
from tokenizers import AddedToken

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.gguf_file import read_file
from friendli_endpoint.text import byte_level, sentencepiece
from friendli_endpoint.text.gguf_vocabulary import Vocabulary, read_vocabulary
from friendli_endpoint.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.text.gguf_vocabulary import Kit


def load(path: Path) -> Tokenizer:
    """Raises ModelError: no GGUF file, cut short, no vocabulary, or one of a kind that is not supported."""
    metadata = read_file(path).metadata
    try:
        vocabulary = read_vocabulary(metadata)
        return _assemble(vocabulary, _kit(vocabulary))
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error


def _kit(vocabulary: Vocabulary) -> Kit:
    kinds = {"gpt2": byte_level.kit, "llama": sentencepiece.kit}
    if vocabulary.model not in kinds:
        raise ModelError(
            f"its tokenizer is of the kind {vocabulary.model!r}, which is not supported; "
            f"supported are {', '.join(kinds)}"
        )
    return kinds[vocabulary.model](vocabulary)


def _assemble(vocabulary: Vocabulary, kit: Kit) -> Tokenizer:
    kit.backend.add_special_tokens(_added(vocabulary, vocabulary.special))
    kit.backend.add_tokens(_added(vocabulary, vocabulary.user_defined))
    special = dict.fromkeys(vocabulary.special, True) | dict.fromkeys(vocabulary.user_defined, False)
    return Tokenizer(
        kit.backend,
        kit.spelling,
        vocabulary.eos_tokens,
        special,
        prefix=_wanted(vocabulary.add_bos, kit.adds_bos, vocabulary.bos),
        suffix=_wanted(vocabulary.add_eos, False, vocabulary.eos),
    )


def _added(vocabulary: Vocabulary, ids: tuple[int, ...]) -> list[tokenizers.AddedToken]:
    return [AddedToken(vocabulary.tokens[token], normalized=False) for token in ids]


def _wanted(said: bool | None, default: bool, token: int | None) -> tuple[int, ...]:
    return (token,) if token is not None and (default if said is None else said) else ()
