"""What a tokenizer takes from its files, and what it says when they cannot be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import BYTES, END, byte_level, byte_level_backend, write_gguf
from tokenizers import decoders

from friendli_endpoint.errors import ModelError, RequestError
from friendli_endpoint.text import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

GPT2 = {
    "model": "gpt2",
    "pre": "gpt-2",
    "tokens": [*BYTES, "ab", END, "<user>"],
    "merges": ["a b"],
    "token_type": [1] * 257 + [3, 4],
    "eos_token_id": 257,
}
LLAMA = {
    "model": "llama",
    "tokens": ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a", "▁ab"],
    "scores": [0.0] * 259 + [-3.0, -3.0, -3.0, -1.0, -2.0],
    "token_type": [2, 3, 3] + [6] * 256 + [1] * 5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "unknown_token_id": 0,
}


def gguf_tokenizer(tmp_path: Path, **values: object) -> object:
    return load_tokenizer(write_gguf(tmp_path / "model.gguf", **values))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    byte_level_backend().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"eos_token_id": 5}')
    return tmp_path


# GGUF


def test_the_ends_of_a_gguf_are_eos_eot_and_eom_once_each(tmp_path: Path) -> None:
    tokenizer = gguf_tokenizer(tmp_path, **GPT2, eot_token_id=7, eom_token_id=257)
    assert tokenizer.eos_tokens == (257, 7)


def test_special_and_user_tokens_in_text_are_read_as_themselves(tmp_path: Path) -> None:
    tokenizer = gguf_tokenizer(tmp_path, **GPT2)
    assert tokenizer.encode(f"ab{END}<user>") == [256, 257, 258]
    assert tokenizer.decode([256, 257, 258]) == "ab<user>"


@pytest.mark.parametrize(("flags", "begin", "end"), [({}, [1], []), ({"add_bos_token": False}, [], [])])
def test_bos_is_added_unless_the_file_says_no(tmp_path: Path, flags: dict, begin: list[int], end: list[int]) -> None:
    assert gguf_tokenizer(tmp_path, **LLAMA, **flags).encode("ab") == [*begin, 263, *end]


def test_eos_is_added_when_the_file_says_so(tmp_path: Path) -> None:
    assert gguf_tokenizer(tmp_path, **LLAMA, add_eos_token=True).encode("ab") == [1, 263, 2]


def test_the_space_prefix_can_be_off(tmp_path: Path) -> None:
    assert gguf_tokenizer(tmp_path, **LLAMA, add_space_prefix=False).encode("ab") == [1, 260, 261]


def test_the_best_score_merges_first(tmp_path: Path) -> None:
    assert gguf_tokenizer(tmp_path, **LLAMA).encode("a b") == [1, 262, 259, 261]


def test_a_character_outside_the_vocabulary_falls_back_to_its_bytes(tmp_path: Path) -> None:
    assert gguf_tokenizer(tmp_path, **LLAMA).encode("é")[1:] == [259, 3 + 0xC3, 3 + 0xA9]


def test_minus_one_means_no_such_token(tmp_path: Path) -> None:
    assert gguf_tokenizer(tmp_path, **{**GPT2, "eos_token_id": 2**32 - 1}).eos_tokens == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "bert"}, "'bert', which is not supported; supported are gpt2, llama"),
        ({"pre": "superbpe"}, "pre-tokenizer 'superbpe' is not supported; supported are .*llama-bpe.*smollm"),
        ({"tokens": []}, "no vocabulary"),
        ({"merges": []}, "no merges"),
        ({"merges": ["q zz"]}, "merges do not fit"),
        ({"token_type": [1, 2]}, "token_type should have one number for each of the 259 tokens"),
        ({"eos_token_id": 259}, "eos_token_id is 259, but its tokens are 0 to 258"),
        ({"add_bos_token": "yes"}, "add_bos_token should be true or false"),
        ({"tokens": "abc"}, "tokens should be a list of strings"),
        ({"pre": 5}, "pre should be a string"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_is_named(tmp_path: Path, change: dict, said: str) -> None:
    # An empty array cannot be written, so an empty list here leaves the key out.
    values = {key: value for key, value in {**GPT2, **change}.items() if value != []}
    with pytest.raises(ModelError, match=said):
        gguf_tokenizer(tmp_path, **values)


def test_sentencepiece_needs_scores_or_merges(tmp_path: Path) -> None:
    values = {key: value for key, value in LLAMA.items() if key != "scores"}
    with pytest.raises(ModelError, match="neither scores nor merges"):
        gguf_tokenizer(tmp_path, **values)
    assert gguf_tokenizer(tmp_path, **values, merges=["▁ a"]).encode("ab") == [1, 262, 261]


def test_a_file_cut_short_anywhere_says_so(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "whole.gguf", **GPT2).read_bytes()
    for length in range(0, len(whole) - 64, 97):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load_tokenizer(cut)


# Hugging Face folders


def test_a_folder_ends_with_what_its_generation_config_says(folder: Path) -> None:
    assert load_tokenizer(folder).eos_tokens == (5,)
    (folder / "generation_config.json").write_text('{"eos_token_id": [6, 7]}')
    assert load_tokenizer(folder).eos_tokens == (6, 7)


@pytest.mark.parametrize("named", [END, {"content": END, "lstrip": False}])
def test_without_ids_the_tokenizer_config_names_the_end(folder: Path, named: object) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": named}))
    assert load_tokenizer(folder).eos_tokens == (261,)


def test_a_model_may_have_no_end(folder: Path) -> None:
    (folder / "config.json").write_text('{"eos_token_id": null}')
    assert load_tokenizer(folder).eos_tokens == ()


def test_truncation_and_padding_of_the_folder_do_not_touch_prompts(folder: Path) -> None:
    backend = byte_level_backend()
    backend.enable_truncation(3)
    backend.enable_padding(length=10)
    backend.save(str(folder / "tokenizer.json"))
    assert load_tokenizer(folder).encode("abcdef") == list(b"abcdef")


def test_a_folder_without_tokenizer_json_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", ["{}", "not json", '{"model": 5}'])
def test_a_broken_tokenizer_json_is_named(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="is not a tokenizer that can be read"):
        load_tokenizer(folder)


@pytest.mark.parametrize("content", ["[]", "{"])
def test_a_broken_config_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        load_tokenizer(folder)


@pytest.mark.parametrize("decoder", [None, decoders.WordPiece(), decoders.CTC(), decoders.Strip(" ", 0, 1)])
def test_a_decoder_that_needs_its_neighbours_is_refused(folder: Path, decoder: tokenizers.decoders.Decoder) -> None:
    backend = byte_level_backend()
    backend.decoder = decoder
    backend.save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match="decoder"):
        load_tokenizer(folder)


# Every tokenizer


@given(text=st.text())
def test_text_comes_back_byte_for_byte(text: str) -> None:
    tokenizer = byte_level()
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace(END, "")


def test_text_that_is_not_unicode_is_the_callers_fault() -> None:
    with pytest.raises(RequestError, match="lone surrogate"):
        byte_level().encode("a\ud800b")


@pytest.mark.real
def test_the_default_model_ends_at_im_end_and_reads_itself_back(default_model: Path) -> None:
    tokenizer = load_tokenizer(default_model)
    assert tokenizer.vocab_size == 49152
    assert tokenizer.eos_tokens == (2,)
    text = "Zażółć 敏捷 😀 12345\n\n  don't"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("<|im_end|>") == [2]
