"""Tokenizers small enough to read, for tests that need no real vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from friendli_endpoint.text import Tokenizer, spelling

if TYPE_CHECKING:
    from pathlib import Path

ALPHABET = spelling.byte_level_alphabet()
BYTES = sorted(ALPHABET, key=ALPHABET.__getitem__)  # token n is the byte n
WORDS = ["ab", "abc", "Ġhello", "stop", "Ã©"]  # tokens 256 and up
END = "<|end|>"  # the token after them, special


def byte_level_backend() -> tokenizers.Tokenizer:
    """Token n is the byte n; WORDS are there but never merged."""
    vocab = {token: number for number, token in enumerate([*BYTES, *WORDS])}
    backend = tokenizers.Tokenizer(models.BPE(vocab, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([END])
    return backend


def byte_level() -> Tokenizer:
    end = len(BYTES) + len(WORDS)
    return Tokenizer(byte_level_backend(), spelling.BYTE_LEVEL, (end,), {end: True})


def byte_fallback() -> Tokenizer:
    """SentencePiece style: token n is the byte n, then come `▁a` and `b`."""
    vocab = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁a": 256, "b": 257}
    backend = tokenizers.Tokenizer(models.BPE(vocab, [], byte_fallback=True))
    return Tokenizer(backend, spelling.sentencepiece(), (), {})


def write_gguf(path: Path, **values: object) -> Path:
    """A GGUF file of metadata alone: `tokens=[...]` becomes the key `tokenizer.ggml.tokens`, and so on."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in values.items():
        key = f"tokenizer.ggml.{name}"
        match value:
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case str():
                writer.add_string(key, value)
            case list():
                writer.add_array(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path
