"""Every weight type, from its bytes in the file to what the graph holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
from gguf_writer import write_gguf
from step_driver import Driver, Row

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.gguf_file import read_file
from friendli_endpoint.files.stored import KINDS, Kind, StoredTensor, stored_bytes
from friendli_endpoint.model import ModelOptions, load
from friendli_endpoint.model.quantise import GROUP, Half, Nibbles, Packed, Weight, pack
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS, COLUMNS = 24, 512
BY_NAME = sorted(KINDS, key=lambda kind: kind.name)
QUANTISED = [kind for kind in BY_NAME if kind not in {Kind.F32, Kind.F16, Kind.BF16}]
# Where each type's block keeps float16 numbers; everything else in it may be any bits.
HALVES = {
    Kind.Q8_0: [0],
    Kind.Q4_0: [0],
    Kind.Q4_1: [0, 2],
    Kind.Q5_0: [0],
    Kind.Q5_1: [0, 2],
    Kind.Q2_K: [80, 82],
    Kind.Q3_K: [108],
    Kind.Q4_K: [0, 2],
    Kind.Q5_K: [0, 2],
    Kind.Q6_K: [208],
}


def random_bytes(kind: Kind, rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Valid stored rows of a type, with any bits where any are allowed: uint8 [rows, bytes per row]."""
    rng = np.random.default_rng(int(kind))
    if kind not in HALVES:
        values = rng.standard_normal((rows, columns), dtype=np.float32) / 8
        return np.ascontiguousarray(gguf.quantize(values, kind)).view(np.uint8).reshape(rows, -1)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * columns // block, size), dtype=np.uint8)
    for offset in HALVES[kind]:
        scale = rng.uniform(0.5, 1.5, (len(blocks), 1)) / 2 ** (12 if kind.name.endswith("K") else 7)
        blocks[:, offset : offset + 2] = scale.astype(np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def stored(kind: Kind) -> StoredTensor:
    return StoredTensor("w", kind, (ROWS, COLUMNS), random_bytes(kind).reshape(-1))


def values(weight: Weight) -> NDArray[np.float64]:
    if isinstance(weight, Half):
        return weight.values.astype(np.float64)
    if isinstance(weight, Nibbles):
        nibbles = (
            np.stack([weight.values & 15, weight.values >> 4], axis=-1)
            .astype(np.int8)
            .reshape(*weight.scales.shape[:2], -1)
        )
        weight = Packed(np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.int8), weight.scales)
    return (weight.values.astype(np.float64) * weight.scales.astype(np.float64)).reshape(len(weight.values), -1)


@pytest.mark.parametrize("kind", BY_NAME, ids=lambda kind: kind.name)
def test_values_are_those_of_the_gguf_package(kind: Kind) -> None:
    expected = gguf.dequantize(random_bytes(kind), kind).reshape(ROWS, COLUMNS)
    assert np.array_equal(stored(kind).float32(), expected)


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_0], ids=lambda kind: kind.name)
def test_types_with_one_scale_per_32_inputs_are_held_exactly(kind: Kind) -> None:
    assert np.array_equal(values(pack([stored(kind)], "i8")), stored(kind).float32().astype(np.float64))


@pytest.mark.parametrize("kind", BY_NAME, ids=lambda kind: kind.name)
def test_8_bits_are_off_by_at_most_half_a_step(kind: Kind) -> None:
    exact = stored(kind).float32()
    step = np.abs(exact.reshape(ROWS, -1, GROUP)).max(-1, keepdims=True) / 127
    error = np.abs(values(pack([stored(kind)], "i8")) - exact).reshape(ROWS, -1, GROUP)
    assert (error <= 0.501 * step + 127 * step * 2**-11).all()


@pytest.mark.parametrize("kind", BY_NAME, ids=lambda kind: kind.name)
def test_16_bits_are_the_nearest_there_are(kind: Kind) -> None:
    assert np.array_equal(values(pack([stored(kind)], "f16")), stored(kind).float32().astype(np.float16))


@pytest.mark.parametrize("kinds", [[Kind.Q8_0, Kind.Q4_1, Kind.F32], [Kind.Q4_0, Kind.Q8_0], [Kind.Q4_0, Kind.Q4_0]])
def test_stacked_tensors_follow_each_other(kinds: list[Kind]) -> None:
    parts = [stored(kind) for kind in kinds]
    whole = values(pack(parts, "i8"))
    assert np.array_equal(whole, np.concatenate([values(pack([part], "i8")) for part in parts]))


@pytest.mark.parametrize("kind", BY_NAME, ids=lambda kind: kind.name)
def test_reordered_rows_are_reordered_values(kind: Kind) -> None:
    order = np.random.default_rng(1).permutation(ROWS)
    assert np.array_equal(stored(kind).reordered(order).float32(), stored(kind).float32()[order])


def test_all_zero_weights_stay_zero() -> None:
    zeros = StoredTensor("w", Kind.F32, (2, 64), np.zeros(512, np.uint8))
    assert not values(pack([zeros], "i8")).any()


@pytest.mark.parametrize("mode", ["i8", "f16"])
@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e9])
def test_values_that_16_bits_cannot_hold_are_refused(mode: str, bad: float) -> None:
    raw = np.zeros((2, 64), np.float32)
    raw[1, 7] = bad
    with pytest.raises(ModelError, match="not finite or too large"):
        pack([StoredTensor("w", Kind.F32, (2, 64), raw.view(np.uint8).reshape(-1))], mode)


def test_8_bits_need_whole_groups_and_auto_takes_16_bits_instead(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, intermediate_size=72)
    with pytest.raises(ModelError, match="use f16 weights"):
        load(folder, ModelOptions(weights="i8", kv_tokens=64))
    assert load(folder, ModelOptions(weights="auto", kv_tokens=64)).card.vocab_size == 256


@pytest.mark.parametrize("kind", QUANTISED, ids=lambda kind: kind.name)
def test_a_file_of_a_type_gives_the_logits_of_its_dequantised_twin(kind: Kind, tmp_path: Path) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}
    folder = write_folder(tmp_path / "folder", **sizes)
    quantised, twin = tmp_path / "quantised.gguf", tmp_path / "twin.gguf"
    write_gguf(folder, quantised, kind, encode=lambda matrix: random_bytes(kind, *matrix.shape))
    write_gguf(folder, twin, encode=lambda matrix: gguf.dequantize(random_bytes(kind, *matrix.shape), kind))
    assert {tensor.kind for tensor in read_file(quantised).tensors.values()} == {kind, Kind.F32}
    options = ModelOptions(weights="f16", kv_tokens=64)
    both = [Driver(load(path, options)).step([Row()], [[1, 2, 3, 4]]) for path in (quantised, twin)]
    assert np.array_equal(*both)


def test_4_bit_weights_compute_what_the_same_weights_do_in_8_bits(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder")

    def widened(matrix: NDArray[np.float32]) -> NDArray[np.uint8]:
        blocks = gguf.quantize(matrix, Kind.Q4_0).reshape(-1, 18)
        values = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).view(np.int8) - np.int8(8)
        return np.concatenate([blocks[:, :2], values.view(np.uint8)], axis=1).reshape(len(matrix), -1)

    write_gguf(folder, tmp_path / "4.gguf", Kind.Q4_0)
    write_gguf(folder, tmp_path / "8.gguf", Kind.Q8_0, encode=widened)
    options = ModelOptions(weights="i8", kv_tokens=64)
    both = [Driver(load(tmp_path / name, options)).step([Row()], [[1, 2, 3]]) for name in ("4.gguf", "8.gguf")]
    assert np.array_equal(*both)


def test_a_vector_of_a_block_type_is_refused() -> None:
    with pytest.raises(ModelError, match="which Q8_0 weights cannot have"):
        stored_bytes("w", Kind.Q8_0, (64,))
