"""How a vocabulary writes bytes as text: the way back from a token's name to the bytes that it stands for.

Only decoders whose output for a token does not hang on its neighbours are taken, because text goes out as it comes.
One exception is harmless: stripping the space at the very beginning of a text, which a continuation never is.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import tokenizers

EACH_BYTE: Final = "friendli.each_byte"  # an error handler: U+FFFD for every invalid byte
_BYTE_NAME = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class Spelling:
    """`spell` maps a token's name to its bytes; `on_invalid` is the codec error handler for what is not UTF-8."""

    spell: Callable[[str], bytes]
    on_invalid: str


def byte_level_alphabet() -> dict[str, int]:
    """The character that GPT-2 style vocabularies write for each byte: itself if printable, else one from 256 up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_ALPHABET = byte_level_alphabet()


def _spell_byte_level(name: str) -> bytes:
    try:
        return bytes(_ALPHABET[char] for char in name)
    except KeyError:  # an added token, written as it is
        return name.encode()


BYTE_LEVEL = Spelling(_spell_byte_level, "replace")


def sentencepiece(replacements: Sequence[tuple[str, str]] = (("▁", " "),), *, byte_fallback: bool = True) -> Spelling:
    """SentencePiece style: `▁` for a space and, with `byte_fallback`, `<0x0A>` for a byte."""

    def spell(name: str) -> bytes:
        for old, new in replacements:
            name = name.replace(old, new)
        if byte_fallback and (byte := _BYTE_NAME.fullmatch(name)):
            return bytes([int(byte[1], 16)])
        return name.encode()

    return Spelling(spell, EACH_BYTE if byte_fallback else "replace")


def of_decoder(decoder: tokenizers.decoders.Decoder | None) -> Spelling:
    """The spelling that a tokenizer's decoder undoes; ModelError naming a decoder that cannot be used."""
    if decoder is None:
        raise ModelError("its tokenizer has no decoder; one of ByteLevel, Metaspace or ByteFallback is needed")
    steps = list(_steps(json.loads(decoder.__getstate__())))
    kinds = [str(step["type"]) for step in steps]
    if kinds == ["ByteLevel"]:
        return BYTE_LEVEL
    return sentencepiece(
        [pair for step in steps for pair in _replacements(step)], byte_fallback="ByteFallback" in kinds
    )


def _steps(decoder: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    parts = decoder.get("decoders")
    if decoder["type"] == "Sequence" and isinstance(parts, list):
        for part in parts:
            yield from _steps(part)
    else:
        yield decoder


def _replacements(step: Mapping[str, object]) -> list[tuple[str, str]]:
    match step:
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
            return [(old, new)]
        case {"type": "Metaspace", "replacement": str(old)}:
            return [(old, " ")]
        case {"type": "ByteFallback" | "Fuse"} | {"type": "Strip", "stop": 0}:
            return []
        case _:
            raise ModelError(
                f"its tokenizer's decoder {json.dumps(step)} is not supported; "
                "supported are ByteLevel, Metaspace, ByteFallback, and Replace of a string"
            )


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(EACH_BYTE, _each_byte)
