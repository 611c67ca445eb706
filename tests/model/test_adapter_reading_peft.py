"""peft folders become the changes that peft would make."""

from __future__ import annotations

import json
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from friendli_endpoint.model.adapters import read_adapter
from random_adapter import ALL, CONFIG, matrices, peft_tensors, write_peft, write_peft_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.adapters import Adapter
    from friendli_endpoint.model.config import ModelConfig
    from random_adapter import DType, Matrices


def same(adapter: Adapter, expected: Matrices, scale: float) -> bool:
    assert adapter.changes.keys() == expected.keys()
    return all(
        np.array_equal(adapter.changes[name].a, a)
        and np.allclose(adapter.changes[name].b, b * np.float32(scale), rtol=1e-6, atol=0)
        for name, (a, b) in expected.items()
    )


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_every_weight_type_of_peft_is_read_exactly(dtype: DType, config: ModelConfig, tmp_path: Path) -> None:
    adapter = read_adapter(write_peft(tmp_path, dtype=dtype), config)
    assert same(adapter, matrices(), 16 / 8)
    assert (adapter.rank, adapter.targets) == (8, ALL)
    assert adapter.parameters == sum(a.size + b.size for a, b in matrices().values())
    assert {values.dtype for change in adapter.changes.values() for values in (change.a, change.b)} == {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize("rank", [1, 3, 8, 64, 512])
def test_any_rank_is_read_with_its_scale(rank: int, config: ModelConfig, tmp_path: Path) -> None:
    assert same(read_adapter(write_peft(tmp_path, rank=rank), config), matrices(rank=rank), 16 / rank)
    stabilised = write_peft(tmp_path, rank=rank, use_rslora=True, lora_alpha=5.5)
    assert same(read_adapter(stabilised, config), matrices(rank=rank), 5.5 / sqrt(rank))


@pytest.mark.parametrize("target", ALL)
def test_any_projection_can_be_the_only_one(target: str, config: ModelConfig, tmp_path: Path) -> None:
    adapter = read_adapter(write_peft(tmp_path, targets=[target]), config)
    assert adapter.targets == (target,)
    assert same(adapter, matrices(targets=[target]), 2)


def test_only_some_layers_can_be_changed(config: ModelConfig, tmp_path: Path) -> None:
    second = {name: pair for name, pair in matrices().items() if name.startswith("layers.1.")}
    folder = write_peft_tensors(tmp_path, peft_tensors(second), layers_to_transform=[1])
    assert same(read_adapter(folder, config), second, 2)


def test_what_is_read_does_not_depend_on_the_files_any_more(config: ModelConfig, tmp_path: Path) -> None:
    adapter = read_adapter(write_peft(tmp_path), config)
    weights = tmp_path / "adapter_model.safetensors"
    with weights.open("r+b") as file:
        file.write(bytes(weights.stat().st_size))
    assert same(adapter, matrices(), 2)


@pytest.mark.parametrize(
    ("theirs", "other"),
    [
        (".weight", ".default.weight"),
        (".weight", ".pirate.weight"),
        ("base_model.model.", ""),
        ("base_model.model.model.", "base_model.model."),
        ("base_model.model.model.", ""),
    ],
)
def test_names_of_other_versions_of_peft_mean_the_same(
    theirs: str, other: str, config: ModelConfig, tmp_path: Path
) -> None:
    tensors = {name.replace(theirs, other): values for name, values in peft_tensors(matrices()).items()}
    assert same(read_adapter(write_peft_tensors(tmp_path, tensors), config), matrices(), 2)


def ranked(ranks: dict[str, int]) -> Matrices:
    """An adapter of q and down; `ranks` has those that are not 8."""
    plain = matrices(targets=["q", "down"])
    return {name: matrices(rank=ranks[name])[name] if name in ranks else pair for name, pair in plain.items()}


@pytest.mark.parametrize(
    ("pattern", "changed"),
    [
        ("q_proj", ["layers.0.q", "layers.1.q"]),
        ("self_attn.q_proj", ["layers.0.q", "layers.1.q"]),
        ("layers.1.self_attn.q_proj", ["layers.1.q"]),
        ("model.layers.0.mlp.down_proj", ["layers.0.down"]),
        ("^model.layers.0.mlp.down_proj", ["layers.0.down"]),
        ("^layers.0.mlp.down_proj", []),
        (r"layers\.\d+\.mlp\.(gate|down)_proj", ["layers.0.down", "layers.1.down"]),
        (".*0.*", ["layers.0.q", "layers.0.down"]),
        ("proj", []),
        ("layers.1", []),
        ("q_proj|down_proj", ["layers.0.q", "layers.1.q", "layers.0.down", "layers.1.down"]),
    ],
)
def test_patterns_match_the_ends_of_names(
    pattern: str, changed: list[str], config: ModelConfig, tmp_path: Path
) -> None:
    tensors = peft_tensors(ranked(dict.fromkeys(changed, 4)))
    adapter = read_adapter(write_peft_tensors(tmp_path / "r", tensors, rank_pattern={pattern: 4}), config)
    assert [name for name, change in adapter.changes.items() if len(change.a) == 4] == [
        name for name in adapter.changes if name in changed
    ]
    scaled = write_peft_tensors(tmp_path / "a", peft_tensors(ranked({})), alpha_pattern={pattern: 40})
    for name, change in read_adapter(scaled, config).changes.items():
        assert np.array_equal(change.b, ranked({})[name][1] * (5 if name in changed else 2))


def test_the_first_pattern_that_matches_counts_and_ranks_and_alphas_are_apart(
    config: ModelConfig, tmp_path: Path
) -> None:
    expected = ranked({"layers.0.q": 4, "layers.1.q": 2})
    folder = write_peft_tensors(
        tmp_path,
        peft_tensors(expected),
        rank_pattern={"layers.0.self_attn.q_proj": 4, "q_proj": 2, "model.layers.1.self_attn.q_proj": 64},
        alpha_pattern={"layers.1.*": 32},
    )
    scales = {"layers.0.q": 16 / 4, "layers.1.q": 32 / 2, "layers.0.down": 16 / 8, "layers.1.down": 32 / 8}
    adapter = read_adapter(folder, config)
    assert adapter.rank == 8
    for name, scale in scales.items():
        assert np.array_equal(adapter.changes[name].b, expected[name][1] * scale)


@pytest.mark.parametrize(
    "fields",
    [
        {"peft_version": "0.99.0", "revision": "main", "auto_mapping": {"base_model_class": "LlamaForCausalLM"}},
        {"lora_dropout": 0.1, "inference_mode": True, "megatron_core": "megatron.core", "qalora_group_size": 16},
        {"layers_pattern": "layers", "exclude_modules": ["lm_head"], "target_modules": "all-linear"},
        {"eva_config": {"rho": 2.0}, "init_lora_weights": "eva", "loftq_config": {}, "ensure_weight_tying": True},
        {"modules_to_save": None, "use_dora": False, "layer_replication": [], "bias": None, "rank_pattern": None},
        {"a_field_of_a_later_version": None, "another": False, "a_third": {}, "a_fourth": ""},
        {"init_lora_weights": False},
        {"init_lora_weights": "Gaussian"},
        {"init_lora_weights": "orthogonal"},
    ],
)
def test_fields_that_change_nothing_are_no_hindrance(
    fields: dict[str, object], config: ModelConfig, tmp_path: Path
) -> None:
    assert same(read_adapter(write_peft(tmp_path, **fields), config), matrices(), 2)


def test_a_config_that_does_not_say_rank_and_alpha_means_pefts_own(config: ModelConfig, tmp_path: Path) -> None:
    write_peft(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert same(read_adapter(tmp_path, config), matrices(), 8 / 8)


def test_a_folder_can_hold_the_models_config_too(config: ModelConfig, tmp_path: Path) -> None:
    folder = write_peft(tmp_path)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    assert same(read_adapter(folder, config), matrices(), 2)
