"""Every architecture against its reference implementation, from both file formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from gguf_writer import write_gguf
from step_driver import Driver, Expected, Row

from friendli_endpoint.model import ModelOptions, load

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.reference

NAMES = [
    "llama-tied",
    "llama-untied",
    "llama-llama3",
    "llama-linear-biases",
    "mistral-sliding",
    "mistral-full",
    "qwen2-tied",
    "qwen2-yarn",
    "qwen2-slides-late",
    "qwen3-untied",
    "qwen3-tied",
]
FOLDER_ONLY = {"qwen2-slides-late"}  # a GGUF file cannot say that only some layers slide
EXACT = ModelOptions(weights="f16", kv_tokens=1024)  # the reference's weights are exact in 16 bits


def check(path: Path, expected: Expected) -> None:
    driver = Driver(load(path, EXACT))
    logits = driver.step([Row()], [expected.prompt.tolist()], every=True)
    spread = expected.logits.std()
    assert np.abs(logits - expected.logits).max() < 0.01 * spread
    (tokens,), _ = driver.generate([expected.prompt.tolist()], len(expected.greedy))
    assert tokens == expected.greedy.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_gives_the_logits_and_greedy_tokens_of_the_reference(name: str, tiny_models: Path) -> None:
    check(tiny_models / name, Expected.read(tiny_models / f"{name}.npz"))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FOLDER_ONLY])
def test_a_gguf_file_gives_the_logits_and_greedy_tokens_of_the_reference(
    name: str, tiny_models: Path, tmp_path: Path
) -> None:
    write_gguf(tiny_models / name, tmp_path / "tiny.gguf")
    check(tmp_path / "tiny.gguf", Expected.read(tiny_models / f"{name}.npz"))
