"""SentencePiece BPE with byte fallback (GGUF's `llama`): Llama 2, Mistral, TinyLlama and their kin.

The file gives a score per token and mostly no merges: two neighbours merge when together they are a token, the best
score first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokenizers
from tokenizers import models, normalizers

from friendli_endpoint.errors import ModelError
from friendli_endpoint.text import spelling
from friendli_endpoint.text.gguf_vocabulary import Kit

if TYPE_CHECKING:
    from friendli_endpoint.text.gguf_vocabulary import Vocabulary

_SPACE = "▁"


def kit(vocabulary: Vocabulary) -> Kit:
    """Raises ModelError when the vocabulary has neither merges nor scores."""
    backend = tokenizers.Tokenizer(_model(vocabulary))
    steps: list[normalizers.Normalizer] = [normalizers.Replace(" ", _SPACE)]
    if vocabulary.add_space_prefix is not False:
        # After special tokens too, as in the tokenizer.json of these models and in llama.cpp.
        steps.insert(0, normalizers.Prepend(_SPACE))
    backend.normalizer = normalizers.Sequence(steps)
    return Kit(backend, spelling.sentencepiece(), adds_bos=True)


def _model(vocabulary: Vocabulary) -> models.BPE:
    unknown = None if vocabulary.unknown is None else vocabulary.tokens[vocabulary.unknown]
    ids = vocabulary.ids
    merges = vocabulary.merges or _merges(ids, vocabulary.scores)
    try:
        return models.BPE(ids, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"its merges do not fit its vocabulary: {error}") from error


def _merges(ids: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Every split of a token into two others, best score first; among equal scores, longer parts first.

    The order among equals is that of the reference's converter, so that the ids are too.
    """
    if not scores:
        raise ModelError("it has neither scores nor merges, of which SentencePiece BPE needs one")
    found = sorted(
        (-scores[ids[token]], -at, at - len(token), number, token)
        for number, token in enumerate(ids)
        for at in range(1, len(token))
        if token[:at] in ids and token[at:] in ids
    )
    return [(token[:-minus_at], token[-minus_at:]) for _, minus_at, _, _, token in found]
