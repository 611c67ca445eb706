"""Byte-level BPE (GGUF's `gpt2`): each `pre` names how text is split into words before merging.

The patterns are facts about the models that carry these names: the split of their own `tokenizer.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers

from friendli_endpoint.errors import ModelError
from friendli_endpoint.text.gguf_vocabulary import Kit
from friendli_endpoint.text.spelling import BYTE_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.text.gguf_vocabulary import Vocabulary

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_DIGIT = r"\p{N}"
_SUFFIXES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_SUFFIXES}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN2 = rf"{_SUFFIXES}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
)
_DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")


@dataclass(frozen=True, slots=True)
class _Style:
    """`patterns` split one after the other, each within the pieces of those before it.

    `whole_words`: a word that is in the vocabulary is one token, whatever the merges say.
    """

    patterns: Sequence[str]
    whole_words: bool = False
    adds_bos: bool = False
    composes: bool = False  # to Unicode's NFC


_LLAMA3_STYLE = _Style([_LLAMA3], whole_words=True, adds_bos=True)
_QWEN2_STYLE = _Style([_QWEN2], composes=True)
_DIGITS_STYLE = _Style([_DIGIT, _GPT2])
_GPT2_STYLE = _Style([_GPT2])

STYLES = {
    "default": _Style(_DEFAULT),
    "gpt-2": _GPT2_STYLE,
    "olmo": _GPT2_STYLE,
    "phi-2": _GPT2_STYLE,
    "smollm": _DIGITS_STYLE,
    "starcoder": _DIGITS_STYLE,
    "refact": _DIGITS_STYLE,
    "command-r": _DIGITS_STYLE,
    "llama3": _LLAMA3_STYLE,
    "llama-v3": _LLAMA3_STYLE,
    "llama-bpe": _LLAMA3_STYLE,
    "falcon3": _LLAMA3_STYLE,
    "smaug-bpe": _Style([_LLAMA3]),
    "tekken": _Style([_TEKKEN], whole_words=True, adds_bos=True),
    "qwen2": _QWEN2_STYLE,
    "deepseek-r1-qwen": _QWEN2_STYLE,
}


def kit(vocabulary: Vocabulary) -> Kit:
    """Raises ModelError for an unknown `pre` or merges that do not fit the vocabulary."""
    style = STYLES.get(vocabulary.pre)
    if style is None:
        raise ModelError(
            f"its pre-tokenizer {vocabulary.pre!r} is not supported; supported are {', '.join(sorted(STYLES))}"
        )
    backend = tokenizers.Tokenizer(_model(vocabulary, style))
    if style.composes:
        backend.normalizer = normalizers.NFC()
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in style.patterns]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return Kit(backend, BYTE_LEVEL, style.adds_bos)


def _model(vocabulary: Vocabulary, style: _Style) -> models.BPE:
    if not vocabulary.merges:
        raise ModelError("it has no merges (tokenizer.ggml.merges), which byte-level BPE needs")
    try:
        return models.BPE(vocabulary.ids, vocabulary.merges, ignore_merges=style.whole_words)
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"its merges do not fit its vocabulary: {error}") from error
