"""Ids and text equal those of the reference implementations, for every kind of tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from corpus import SPECIAL, TEXTS

from friendli_endpoint.text import ChoiceText, Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from reference import Reference

pytestmark = pytest.mark.reference

BYTE_LEVEL = ["smollm", "llama-bpe", "tekken", "gpt-2", "qwen2"]
GGUF = [f"gguf-{pre}" for pre in BYTE_LEVEL] + ["gguf-llama", "gguf-sentencepiece"]
FOLDERS = [f"folder-{pre}" for pre in BYTE_LEVEL] + ["folder-llama", "folder-metaspace"]


@pytest.fixture(scope="module")
def made(reference: Reference, default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers")
    (folder / "texts.json").write_text(json.dumps(TEXTS))
    reference.run(Path(__file__).parent / "oracle_tokenizers.py", folder, default_model, folder / "texts.json")
    return folder


@pytest.fixture(scope="module", params=[*GGUF, *FOLDERS, "default"])
def case(request: pytest.FixtureRequest, made: Path, default_model: Path) -> tuple[str, Tokenizer, dict]:
    name: str = request.param
    path = default_model if name == "default" else made / (f"{name}.gguf" if name in GGUF else name)
    return name, load_tokenizer(path), json.loads((made / "cases.json").read_text())[name]


def test_ids_are_those_of_the_reference(case: tuple[str, Tokenizer, dict]) -> None:
    name, tokenizer, expected = case
    for text, ids in zip(TEXTS, expected["ids"], strict=True):
        if name == "gguf-sentencepiece" and text in SPECIAL:
            continue  # the library itself doesn't look for special tokens in text
        assert tokenizer.encode(text) == ids, text


def test_a_continuation_reads_as_in_the_reference(case: tuple[str, Tokenizer, dict]) -> None:
    name, tokenizer, expected = case
    for _, tokens, text in expected["runs"]:
        if name != "gguf-sentencepiece" or not text.startswith(" "):
            assert tokenizer.decode(tokens) == text


def test_pieces_add_up_to_the_reference_text(case: tuple[str, Tokenizer, dict]) -> None:
    _, tokenizer, expected = case
    for _, tokens, text in expected["runs"]:
        choice = ChoiceText(tokenizer)
        pieces = [piece for token in tokens for piece in choice.push(token)] + choice.finish()
        assert [piece.token for piece in pieces] == tokens
        assert "".join(piece.text for piece in pieces) == text
