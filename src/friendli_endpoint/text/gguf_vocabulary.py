"""What a GGUF file's `tokenizer.ggml.*` keys say, checked and typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from friendli_endpoint.errors import ModelError

if TYPE_CHECKING:
    import tokenizers

    from friendli_endpoint.text.spelling import Spelling

Metadata: TypeAlias = Mapping[str, object]

_KEY = "tokenizer.ggml."
# Token types as GGUF numbers them. An unknown token is special: written out in a text, it means itself.
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A flag is None where the file leaves it to the kind of tokenizer."""

    model: str
    pre: str
    tokens: list[str]
    merges: list[tuple[str, str]]
    scores: list[float]
    special: tuple[int, ...]
    user_defined: tuple[int, ...]
    bos: int | None
    eos: int | None
    unknown: int | None
    eos_tokens: tuple[int, ...]
    add_bos: bool | None
    add_eos: bool | None
    add_space_prefix: bool | None

    @property
    def ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}


@dataclass(frozen=True, slots=True)
class Kit:
    """What a kind of tokenizer makes of a vocabulary; `adds_bos` holds where the file does not say."""

    backend: tokenizers.Tokenizer
    spelling: Spelling
    adds_bos: bool


def read_vocabulary(metadata: Metadata) -> Vocabulary:
    """Raises ModelError naming the key that is missing or wrong."""
    tokens = _strings(metadata, "tokens")
    if not tokens:
        raise ModelError(f"it has no vocabulary ({_KEY}tokens)")
    types = _numbers(metadata, "token_type", len(tokens))
    ends = [_token(metadata, f"{name}_token_id", len(tokens)) for name in ("eos", "eot", "eom")]
    return Vocabulary(
        model=_string(metadata, "model", ""),
        pre=_string(metadata, "pre", "default"),
        tokens=tokens,
        merges=[_pair(merge) for merge in _strings(metadata, "merges")],
        scores=[float(score) for score in _numbers(metadata, "scores", len(tokens))],
        special=tuple(number for number, kind in enumerate(types) if kind in {_UNKNOWN, _CONTROL}),
        user_defined=tuple(number for number, kind in enumerate(types) if kind == _USER_DEFINED),
        bos=_token(metadata, "bos_token_id", len(tokens)),
        eos=ends[0],
        unknown=_token(metadata, "unknown_token_id", len(tokens)),
        eos_tokens=tuple(dict.fromkeys(token for token in ends if token is not None)),
        add_bos=_flag(metadata, "add_bos_token"),
        add_eos=_flag(metadata, "add_eos_token"),
        add_space_prefix=_flag(metadata, "add_space_prefix"),
    )


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _strings(metadata: Metadata, name: str) -> list[str]:
    value = metadata.get(_KEY + name, ())
    if isinstance(value, str | np.ndarray) or not isinstance(value, Iterable):
        raise ModelError(f"{_KEY}{name} should be a list of strings")
    return [str(item) for item in value]


def _numbers(metadata: Metadata, name: str, count: int) -> list[float]:
    value = metadata.get(_KEY + name)
    if value is None:
        return []
    if not isinstance(value, np.ndarray) or len(value) != count:
        raise ModelError(f"{_KEY}{name} should have one number for each of the {count} tokens")
    numbers: list[float] = value.tolist()
    return numbers


def _string(metadata: Metadata, name: str, default: str) -> str:
    value = metadata.get(_KEY + name, default)
    if not isinstance(value, str):
        raise ModelError(f"{_KEY}{name} should be a string")
    return value


def _token(metadata: Metadata, name: str, count: int) -> int | None:
    value = metadata.get(_KEY + name)
    # Writers put -1 (as an unsigned number) for "there is none".
    if value is None or value in {-1, 2**32 - 1}:
        return None
    if not isinstance(value, int) or not 0 <= value < count:
        raise ModelError(f"{_KEY}{name} is {value!r}, but its tokens are 0 to {count - 1}")
    return value


def _flag(metadata: Metadata, name: str) -> bool | None:
    value = metadata.get(_KEY + name)
    if value is not None and not isinstance(value, bool):
        raise ModelError(f"{_KEY}{name} should be true or false")
    return value
