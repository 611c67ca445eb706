"""Whatever is wrong with an adapter's files is an AdapterError, never another exception."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from adapter_errors import message
from changed_bytes import changed_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters import read_adapter
from random_adapter import matrices, peft_tensors, write_gguf, write_peft, write_peft_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.config import ModelConfig

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FLIPS = 600
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_peft(tmp_path / "adapter", targets=["q", "down"], alpha_pattern={"q_proj": 8})


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_peft_file_cut_anywhere_is_an_adapter_error(name: str, folder: Path, config: ModelConfig) -> None:
    whole = (folder / name).read_bytes()
    for size in [*range(0, min(len(whole), 1500), 11), *range(1500, len(whole), 499), len(whole) - 1]:
        (folder / name).write_bytes(whole[:size])
        message(folder, config)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_peft_file_with_any_byte_changed_is_read_or_message(name: str, folder: Path, config: ModelConfig) -> None:
    whole = (folder / name).read_bytes()
    for changed in changed_bytes(whole, min(len(whole), 1500), FLIPS):
        (folder / name).write_bytes(changed)
        with suppress(AdapterError):
            read_adapter(folder, config)


def test_a_gguf_file_cut_anywhere_is_an_adapter_error(config: ModelConfig, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", targets=["q", "down"])
    whole = path.read_bytes()
    for size in [*range(0, 900, 7), *range(900, len(whole) - 64, 499), len(whole) - 64]:
        path.write_bytes(whole[:size])
        message(path, config)


def test_a_gguf_file_with_any_byte_changed_is_read_or_message(config: ModelConfig, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", targets=["q", "down"])
    whole = path.read_bytes()
    for changed in changed_bytes(whole, 900, FLIPS):
        path.write_bytes(changed)
        with suppress(AdapterError):
            read_adapter(path, config)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"r": 1' + b"0" * 5000 + b"}"]
)
def test_a_config_that_is_no_json_object_is_message(text: bytes, folder: Path, config: ModelConfig) -> None:
    (folder / CONFIG).write_bytes(text)
    message(folder, config)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)
FIELDS = ["peft_type", "r", "lora_alpha", "use_rslora", "bias", "fan_in_fan_out", "init_lora_weights", "use_dora"]


@SETTINGS
@given(st.dictionaries(st.sampled_from([*FIELDS, "rank_pattern", "alpha_pattern", "unknown"]), JSON, min_size=1))
def test_a_config_of_any_values_is_read_or_message(
    folder: Path, config: ModelConfig, fields: dict[str, object]
) -> None:
    write_peft_tensors(folder, peft_tensors(matrices(targets=["v"])), **fields)
    with suppress(AdapterError):
        read_adapter(folder, config)


@SETTINGS
@given(st.text(alphabet=r".*+?()[]{}|^$\d0189aq_proj", max_size=30))
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_any_text_as_a_pattern_is_read_or_message(folder: Path, config: ModelConfig, pattern: str) -> None:
    write_peft_tensors(folder, peft_tensors(matrices(targets=["v"])), alpha_pattern={pattern: 4})
    with suppress(AdapterError):
        read_adapter(folder, config)


def test_a_folder_in_place_of_a_file_is_an_adapter_error(folder: Path, config: ModelConfig) -> None:
    for name in (CONFIG, WEIGHTS):
        (folder / name).unlink()
        (folder / name).mkdir()
        message(folder, config)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_what_might_be_read_for_ever_is_an_adapter_error(name: str, folder: Path, config: ModelConfig) -> None:
    path = folder / name
    path.unlink()
    os.mkfifo(path)
    assert "is not a file" in message(folder, config)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "is not a file" in message(folder, config)


def test_a_pipe_in_place_of_an_adapter_is_an_adapter_error(tmp_path: Path, config: ModelConfig) -> None:
    os.mkfifo(tmp_path / "a.gguf")
    assert "is not a file" in message(tmp_path / "a.gguf", config)


def test_json_of_absurd_size_is_an_adapter_error(folder: Path, config: ModelConfig) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.write((2**37).to_bytes(8, "little"))
        file.truncate(2**38)  # a hole: the disk holds none of it
    assert "larger than 100 MiB" in message(folder, config)
    with (folder / CONFIG).open("ab") as file:
        file.truncate(2**37)
    assert "larger than 100 MiB" in message(folder, config)


@pytest.mark.parametrize("half", [b"\\ud800", b"\xed\xa0\x80"])
def test_names_that_are_no_text_are_an_adapter_error_that_can_be_sent(
    half: bytes, folder: Path, config: ModelConfig
) -> None:
    (folder / CONFIG).write_bytes(b'{"peft_type": "LORA", "use_' + half + b'": true}')
    message(folder, config).encode()
    header = b'{"' + half + b'": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}'
    (folder / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    (folder / CONFIG).write_text('{"peft_type": "LORA"}')
    message(folder, config).encode()
