"""Whatever is wrong with a model's files is a ModelError that says so, never another exception."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
from changed_bytes import changed_bytes
from gguf_writer import write_gguf
from safetensors.numpy import save_file

from friendli_endpoint.errors import ModelError
from friendli_endpoint.model import inspect
from random_model import CONFIG, weights, write_folder

if TYPE_CHECKING:
    from pathlib import Path

FLIPS = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def gguf_bytes(folder: Path) -> bytes:
    write_gguf(folder, folder.parent / "tiny.gguf")
    return (folder.parent / "tiny.gguf").read_bytes()


def message(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        inspect(path)
    return str(caught.value)


def test_a_whole_model_is_described_from_its_headers(folder: Path, gguf_bytes: bytes, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(gguf_bytes)
    for path in (folder, tmp_path / "tiny.gguf"):
        facts = inspect(path)
        assert (facts.architecture, facts.layers, facts.vocab_size, facts.context_length) == ("llama", 2, 256, 256)
        assert facts.file_types == ("F32",)
        assert facts.parameters == sum(values.size for values in weights(CONFIG).values())


def test_a_gguf_file_cut_anywhere_is_a_model_error(gguf_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    header = gguf_bytes.index(b"blk.0.attn_norm.weight") + 1500
    for size in [*range(0, header, 7), *range(header, len(gguf_bytes) - 64, 1999), len(gguf_bytes) - 64]:
        path.write_bytes(gguf_bytes[:size])
        message(path)


def test_a_safetensors_file_cut_anywhere_is_a_model_error(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    for size in [*range(0, 3000, 13), *range(3000, len(whole), 1999), len(whole) - 1]:
        (tmp_path / "model.safetensors").write_bytes(whole[:size])
        message(tmp_path)


def test_a_gguf_header_with_any_byte_changed_is_read_or_refused(gguf_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "changed.gguf"
    for changed in changed_bytes(gguf_bytes, gguf_bytes.index(b"output_norm.weight") + 1500, FLIPS):
        path.write_bytes(changed)
        with suppress(ModelError):
            inspect(path)


def test_a_safetensors_header_with_any_byte_changed_is_read_or_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    for changed in changed_bytes((folder / "model.safetensors").read_bytes(), 2500, FLIPS):
        (tmp_path / "model.safetensors").write_bytes(changed)
        with suppress(ModelError):
            inspect(tmp_path)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    assert "no model at" in message(tmp_path / "absent")
    assert "no config.json" in message(tmp_path)
    (tmp_path / "text.gguf").write_text("hello, this is a text")
    assert "not a GGUF file" in message(tmp_path / "text.gguf")
    (tmp_path / "empty.gguf").touch()
    assert "cannot read" in message(tmp_path / "empty.gguf")
    (tmp_path / "old.gguf").write_bytes(b"GGUF\x01\x00\x00\x00" + bytes(64))
    assert "GGUF version 1 is not supported" in message(tmp_path / "old.gguf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, "architecture 'gpt2' is not supported; supported are llama, mistral, qwen2, qwen3"),
        ({"model_type": "mixtral"}, "architecture 'mixtral' is not supported"),
        ({"model_type": None}, "does not say model_type"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers must be a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers must be a whole number"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers must be a whole number from 1 to 1000"),
        ({"num_hidden_layers": 3}, "tensor 'layers.2.q' is missing"),
        ({"num_hidden_layers": 1}, "has no place in the llama architecture"),
        ({"hidden_size": None}, "does not say hidden_size"),
        ({"vocab_size": 255}, "tensor 'embedding' has shape [256, 64], where [255, 64] is needed"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 key-value heads"),
        ({"head_dim": 15}, "head size of 15 is odd"),
        ({"rms_norm_eps": -1}, "rms_norm_eps must be a number above 0"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps must be a number above 0"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported"),
        ({"tie_word_embeddings": False}, "tensor 'head' is missing"),
        ({"attention_bias": True}, "tensor 'layers.0.k.bias' is missing"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is not supported"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope scaling 'dynamic' is not supported"),
        ({"rope_parameters": None, "rope_scaling": {"type": "longrope"}}, "rope scaling 'longrope' is not supported"),
        ({"rope_parameters": [1]}, "rope_scaling must be an object"),
        ({"rope_parameters": {"rope_type": "linear"}}, "does not say factor"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is not supported"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}}, "mscale is not supported"),
    ],
)
def test_a_config_that_cannot_be_served_is_refused_by_name(
    change: dict[str, object], said: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | change))
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    assert said in message(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")])
def test_a_config_that_is_no_json_object_is_refused(text: str | bytes, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    assert "config.json is broken" in message(tmp_path)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({}, "has no weight_map"),
        (
            {"weight_map": {"a": "absent.safetensors"}},
            "names the file 'absent.safetensors', which is not in the folder",
        ),
        ({"weight_map": {"a": "../config.json"}}, "names the file '../config.json'"),
        ({"weight_map": {"a": 7}}, "names the file 7"),
        ({"weight_map": {"a": "part.safetensors"}}, "says that tensor 'a' is in part.safetensors, but it is not"),
    ],
)
def test_an_index_that_does_not_fit_its_files_is_refused(
    index: object, said: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "part.safetensors").symlink_to(folder / "model.safetensors")
    assert "has no weights" in message(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert said in message(tmp_path)


@pytest.mark.parametrize(
    ("name", "dtype", "said"),
    [
        ("model.norm.weight", np.int8, "weight type I8, which is not supported; supported are F32, F16, BF16"),
        ("model.layers.0.block_sparse_moe.gate.weight", np.float32, "is of no architecture that is supported"),
        ("model.layers.x.input_layernorm.weight", np.float32, "is of no architecture that is supported"),
    ],
)
def test_a_tensor_that_cannot_be_served_is_named(name: str, dtype: type, said: str, tmp_path: Path) -> None:
    write_folder(tmp_path)
    save_file(weights(CONFIG) | {name: np.ones(64, dtype)}, tmp_path / "model.safetensors")
    assert said in message(tmp_path)


def _gguf(
    path: Path, architecture: str, *facts: tuple[str, int], kind: gguf.GGMLQuantizationType | None = None
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in facts:
        writer.add_uint32(key, value)
    raw = np.zeros((4, 66), np.uint8) if kind else np.zeros((4, 64), np.float32)
    writer.add_tensor("token_embd.weight", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_that_cannot_be_served_is_refused_by_name(tmp_path: Path) -> None:
    assert "architecture 'mamba' is not supported" in message(_gguf(tmp_path / "a.gguf", "mamba"))
    experts = _gguf(tmp_path / "b.gguf", "llama", ("llama.expert_count", 8))
    assert "mixtures of experts are not supported" in message(experts)
    assert "does not say llama.block_count" in message(_gguf(tmp_path / "c.gguf", "llama"))
    unusual = _gguf(tmp_path / "d.gguf", "llama", kind=gguf.GGMLQuantizationType.IQ2_XXS)
    assert "weight type IQ2_XXS, which is not supported" in message(unusual)
