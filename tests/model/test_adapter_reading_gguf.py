"""GGUF LoRA files become the same changes as the peft folders that they were converted from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
from adapter_errors import message
from gguf_writer import write_gguf as write_gguf_model

from friendli_endpoint.model.adapters import read_adapter
from random_adapter import ALL, CONFIG, gguf_tensors, matrices, write_gguf, write_gguf_tensors, write_peft
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.adapters import Adapter
    from friendli_endpoint.model.config import ModelConfig

Kind = gguf.GGMLQuantizationType
Q = "blk.0.attn_q.weight"


def difference(adapter: Adapter, other: Adapter) -> float:
    """The largest of any value."""
    assert adapter.changes.keys() == other.changes.keys()
    pairs = [(adapter.changes[name], other.changes[name]) for name in adapter.changes]
    return max(max(np.abs(one.a - two.a).max(), np.abs(one.b - two.b).max()) for one, two in pairs)


@pytest.mark.parametrize(("kind", "most"), [(Kind.F32, 0), (Kind.F16, 0), (Kind.BF16, 0), (Kind.Q8_0, 0.005)])
@pytest.mark.parametrize("rank", [1, 8, 32])
def test_every_weight_type_of_the_converter_is_read(
    kind: Kind, most: float, rank: int, config: ModelConfig, tmp_path: Path
) -> None:
    adapter = read_adapter(write_gguf(tmp_path / "a.gguf", rank=rank, kind=kind, alpha=rank), config)
    assert difference(adapter, read_adapter(write_peft(tmp_path, rank=rank, lora_alpha=rank), config)) <= most
    assert (adapter.rank, adapter.targets) == (rank, ALL)


@pytest.mark.parametrize(("alpha", "scale"), [(16.0, 2.0), (4.0, 0.5), (0.0, 1.0), (None, 1.0)])
def test_the_scale_is_llama_cpps_and_no_alpha_is_none(
    alpha: float | None, scale: float, config: ModelConfig, tmp_path: Path
) -> None:
    path = write_gguf_tensors(tmp_path / "a.gguf", gguf_tensors(matrices()), alpha=alpha)
    adapter = read_adapter(path, config)
    for name, (_, b) in matrices().items():
        assert np.array_equal(adapter.changes[name].b, b * scale)


def test_ranks_may_differ_and_each_has_its_scale(config: ModelConfig, tmp_path: Path) -> None:
    values = matrices(targets=["q"]) | matrices(rank=4, targets=["down"])
    adapter = read_adapter(write_gguf_tensors(tmp_path / "a.gguf", gguf_tensors(values)), config)
    assert adapter.rank == 8
    assert np.array_equal(adapter.changes["layers.0.q"].b, values["layers.0.q"][1] * 2)
    assert np.array_equal(adapter.changes["layers.1.down"].b, values["layers.1.down"][1] * 4)


@pytest.mark.parametrize("architecture", ["mistral", "qwen2", "qwen3"])
def test_the_formats_names_and_row_orders_of_the_architectures_are_known(
    architecture: str, config: ModelConfig, tmp_path: Path
) -> None:
    """mistral is stored as llama, q and k permuted; the others under their own names, as they are."""
    of_it = CONFIG | {"model_type": architecture}
    stored_as = "llama" if architecture == "mistral" else architecture
    path = write_gguf_tensors(tmp_path / "a.gguf", gguf_tensors(matrices(), of_it), architecture=stored_as)
    adapter = read_adapter(path, replace(config, architecture=architecture))
    assert difference(adapter, read_adapter(write_peft(tmp_path), config)) == 0


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"architecture": "qwen2"}, "is an adapter for architecture 'qwen2'; that of tiny is 'llama'"),
        ({"architecture": "mistral"}, "is an adapter for architecture 'mistral'; that of tiny is 'llama'"),
        ({"general_type": "model"}, "is no adapter: its general.type is 'model', not 'adapter'"),
        ({"adapter_type": "dora"}, "adapter.type 'dora' is not supported; supported is 'lora'"),
        ({"adapter_alora.invocation_tokens": "1"}, "adapter.alora.invocation_tokens is not supported"),
        ({"adapter_something.new": "1"}, "adapter.something.new is not supported; supported are plain LoRA adapters"),
        ({"alpha": float("nan")}, "adapter.lora.alpha must be a number of at least 0"),
        ({"alpha": float("inf")}, "adapter.lora.alpha must be a number of at least 0"),
        ({"alpha": -1.0}, "adapter.lora.alpha must be a number of at least 0"),
        ({"alpha": None, "adapter_lora.alpha": "16"}, "adapter.lora.alpha must be a number of at least 0"),
    ],
)
def test_metadata_of_more_than_a_plain_adapter_of_this_model_is_refused_by_name(
    facts: dict[str, str], said: str, config: ModelConfig, tmp_path: Path
) -> None:
    assert said in message(write_gguf_tensors(tmp_path / "a.gguf", gguf_tensors(matrices()), **facts), config)


ONES = np.ones((8, 64), np.float32)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"token_embd.weight.lora_a": ONES}, "changes the embedding, which is not supported"),
        ({"output.weight.lora_a": ONES}, "changes the head, which is not supported"),
        ({"blk.0.attn_norm.weight": ONES[0]}, "is not a low-rank change of a projection"),
        ({"blk.0.attn_norm.weight.lora_a": ONES}, "is not a low-rank change of a projection"),
        ({"blk.0.attn_q.weight": ONES}, "is not a low-rank change of a projection"),
        ({"blk.0.attn_q.bias.lora_a": ONES}, "is not a low-rank change of a projection"),
        ({"blk.0.ffn_gate_exps.weight.lora_a": ONES}, "is not a low-rank change of a projection"),
        ({"blk.2.attn_q.weight.lora_a": ONES}, "is for layer 2, but tiny has 2 layers"),
        ({"blk.00.attn_q.weight.lora_a": ONES}, "is there twice"),
        ({f"{Q}.lora_a": np.ones((64, 8), np.float32)}, "has shape [64, 8], where tiny needs [64, 64]"),
        ({f"{Q}.lora_a": np.ones((8, 65), np.float32)}, "has shape [8, 65], where tiny needs [8, 64]"),
        ({f"{Q}.lora_b": np.ones((64, 4), np.float32)}, "has shape [64, 4], where tiny needs [64, 8]"),
        ({f"{Q}.lora_b": np.ones((32, 8), np.float32)}, "has shape [32, 8], where tiny needs [64, 8]"),
        ({f"{Q}.lora_a": np.ones(64, np.float32)}, "has shape [64], where tiny needs [64, 64]"),
        ({f"{Q}.lora_a": np.ones((513, 64), np.float32)}, "has rank 513; supported are ranks up to 512"),
        ({f"{Q}.lora_b": np.full((64, 8), np.nan, np.float32)}, "has values that are not finite numbers"),
    ],
)
def test_a_tensor_that_does_not_fit_the_model_is_refused_by_name(
    tensors: dict[str, np.ndarray], said: str, config: ModelConfig, tmp_path: Path
) -> None:
    found = message(write_gguf_tensors(tmp_path / "a.gguf", gguf_tensors(matrices()) | tensors), config)
    assert said in found
    assert next(iter(tensors)) in found


def test_a_file_that_is_no_adapter_is_told_so(config: ModelConfig, tmp_path: Path) -> None:
    write_gguf_model(write_folder(tmp_path / "model"), tmp_path / "model.gguf")
    assert "is no adapter: its general.type is 'model', not 'adapter'" in message(tmp_path / "model.gguf", config)
    assert "holds no tensors of an adapter" in message(write_gguf_tensors(tmp_path / "none.gguf", {}), config)
    half = {name: values for name, values in gguf_tensors(matrices()).items() if name != f"{Q}.lora_b"}
    said = message(write_gguf_tensors(tmp_path / "half.gguf", half), config)
    assert f"tensor '{Q}.lora_a' is there without its B" in said
    (tmp_path / "text.gguf").write_text("hello")
    assert "this is not a GGUF file" in message(tmp_path / "text.gguf", config)
    (tmp_path / "empty.gguf").touch()
    assert "cannot read" in message(tmp_path / "empty.gguf", config)
