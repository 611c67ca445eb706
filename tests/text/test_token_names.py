"""How tokens are written for people, and phrases as tokens."""

from __future__ import annotations

import pytest
import tokenizers
from small_tokenizers import END, byte_fallback, byte_level
from tokenizers import processors

from friendli_endpoint.text import Tokenizer, spelling


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (97, "a"),
        (10, "\n"),
        (0xE2, r"bytes:\xe2"),
        (258, " hello"),
        (260, "é"),
        (261, END),
        (262, "<262>"),
        (10**9, "<1000000000>"),
        (-1, "<-1>"),
    ],
)
def test_a_token_is_written_as_its_text_its_bytes_or_its_name(token: int, name: str) -> None:
    tokenizer = byte_level()
    assert tokenizer.display(token) == name
    assert tokenizer.display(token) == name  # from memory, too


def test_sentencepiece_spaces_are_spaces_and_bytes_are_bytes() -> None:
    assert [byte_fallback().display(token) for token in (256, 97, 0xE2)] == [" a", "a", r"bytes:\xe2"]


def test_a_part_of_a_text_gets_nothing_put_around_it() -> None:
    backend = byte_level().backend
    plain = Tokenizer(backend, spelling.BYTE_LEVEL, (261,), {261: True}, prefix=(261,), suffix=(261,))
    assert plain.encode("a") == [261, 97, 261]
    assert plain.encode_part("a") == [97]
    assert plain.encode_part(f"a{END}") == [97, 261]
    own = tokenizers.Tokenizer.from_str(backend.to_str())
    own.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 261)])
    itself = Tokenizer(own, spelling.BYTE_LEVEL, (261,), {261: True})
    assert itself.encode("a") == [261, 97]
    assert itself.encode_part("a") == [97]
