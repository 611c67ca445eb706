"""A tokenizer that needs no files, for servers on the fake engine: a token for each byte, and one for the end."""

from __future__ import annotations

from typing import Final

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from friendli_endpoint.text.spelling import BYTE_LEVEL
from friendli_endpoint.text.tokenizer import Tokenizer

EOS: Final = 256


def byte_tokenizer() -> Tokenizer:
    """A token for each byte, and 256 for the end."""
    alphabet = {BYTE_LEVEL.spell(char)[0]: char for char in map(chr, range(0x180)) if len(BYTE_LEVEL.spell(char)) == 1}
    backend = Backend(models.BPE(vocab={char: byte for byte, char in alphabet.items()}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, BYTE_LEVEL, eos_tokens=(EOS,), added={EOS: True})
