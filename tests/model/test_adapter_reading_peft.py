"""peft folders become the changes that peft would make; whatever else they ask for is refused by name."""

from __future__ import annotations

import json
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters import read_adapter
from friendli_endpoint.model.from_folder import read_folder
from random_adapter import ALL, CONFIG, matrices, peft_tensors, write_peft, write_peft_tensors
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.adapters import Adapter
    from friendli_endpoint.model.config import ModelConfig
    from random_adapter import DType, Matrices

Q = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    return read_folder(write_folder(tmp_path_factory.mktemp("models") / "tiny")).config


def same(adapter: Adapter, expected: Matrices, scale: float) -> bool:
    assert adapter.changes.keys() == expected.keys()
    return all(
        np.array_equal(adapter.changes[name].a, a)
        and np.allclose(adapter.changes[name].b, b * np.float32(scale), rtol=1e-6, atol=0)
        for name, (a, b) in expected.items()
    )


def message(path: Path, config: ModelConfig) -> str:
    with pytest.raises(AdapterError) as caught:
        read_adapter(path, config)
    return str(caught.value)


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


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"peft_type": "LOHA"}, "peft_type 'LOHA' is not supported; supported is 'LORA'"),
        ({"peft_type": None}, "does not say peft_type"),
        ({"use_dora": True}, r"DoRA (use_dora) is not supported"),
        ({"bias": "all"}, "bias 'all' is not supported; supported is 'none'"),
        ({"bias": "lora_only"}, "bias 'lora_only' is not supported"),
        ({"lora_bias": True}, "LoRA with biases (lora_bias) is not supported"),
        ({"modules_to_save": ["lm_head"]}, "(modules_to_save) is not supported"),
        ({"trainable_token_indices": [1, 2]}, "(trainable_token_indices) is not supported"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "(layer_replication) is not supported"),
        ({"megatron_config": {"a": 1}}, "(megatron_config) is not supported"),
        ({"target_parameters": ["experts.down_proj"]}, "(target_parameters) is not supported"),
        ({"alora_invocation_tokens": [5]}, "activated LoRA (alora_invocation_tokens) is not supported"),
        ({"use_qalora": True}, "QALoRA (use_qalora) is not supported"),
        ({"use_bdlora": {"nblocks": 2}}, "block-diagonal LoRA (use_bdlora) is not supported"),
        ({"kasa_config": {"beta": 1}}, "(kasa_config) is not supported"),
        ({"arrow_config": {"top_k": 3}}, "a field of unknown effect (arrow_config) is not supported"),
        ({"monteclora_config": {"num_samples": 8}}, "(monteclora_config) is not supported"),
        ({"use_something_new": True}, "a field of unknown effect (use_something_new) is not supported"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out must be false"),
        *[
            ({"init_lora_weights": kind}, f"init_lora_weights '{kind}' is not supported, because it changes the base")
            for kind in ("pissa", "pissa_niter_4", "olora", "loftq", "corda", "lora_ga", "something_new")
        ],
        ({"r": 0}, "r must be a whole number from 1 to 512, not '0'"),
        ({"r": -8}, "r must be a whole number from 1 to 512"),
        ({"r": 513}, "r must be a whole number from 1 to 512"),
        ({"r": 8.0}, "r must be a whole number"),
        ({"r": "8"}, "r must be a whole number"),
        ({"r": True}, "r must be a whole number"),
        ({"r": 16}, "has 8 rows, where adapter_config.json says rank 16"),
        ({"lora_alpha": 0}, "lora_alpha must be a number above 0"),
        ({"lora_alpha": float("nan")}, "lora_alpha must be a number above 0"),
        ({"lora_alpha": float("inf")}, "lora_alpha must be a number above 0"),
        ({"lora_alpha": "16"}, "lora_alpha must be a number above 0"),
        ({"lora_alpha": 1e300}, "has values that are not finite numbers"),
        ({"use_rslora": "yes"}, "use_rslora must be true or false"),
        ({"rank_pattern": [1]}, "rank_pattern must be an object"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern: q_proj must be a whole number from 1 to 512"),
        ({"rank_pattern": {"q_proj": None}}, "rank_pattern does not say q_proj"),
        ({"rank_pattern": {"q_proj": 4}}, "has 8 rows, where adapter_config.json says rank 4"),
        ({"alpha_pattern": {"q_proj": -1}}, "alpha_pattern: q_proj must be a number above 0"),
        ({"rank_pattern": {"(": 8}}, "rank_pattern: '(' is no regular expression"),
        ({"rank_pattern": {"a{99999999999}": 8}}, "is no regular expression"),
        ({"rank_pattern": {"(a+)+x": 8}}, "rank_pattern is too complicated"),
        ({"rank_pattern": {".?" * 20 + "x": 8}}, "rank_pattern is too complicated"),
        ({"rank_pattern": {"(.|.)" * 20 + "x": 8}}, "rank_pattern is too complicated"),
        ({"alpha_pattern": {"(" * 400 + ")" * 400: 8}}, "alpha_pattern is too complicated"),
        ({"alpha_pattern": {f"{i}.*.*x": 8 for i in range(4000)}}, "alpha_pattern is too complicated"),
    ],
)
def test_a_config_of_more_than_a_plain_adapter_is_refused_by_name(
    fields: dict[str, object], said: str, config: ModelConfig, tmp_path: Path
) -> None:
    assert said in message(write_peft(tmp_path, **fields), config)


ONES = np.ones((8, 64), np.float32)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({f"{Q}.lora_magnitude_vector": ONES[0]}, "is for DoRA, which is not supported"),
        ({f"{Q}.lora_magnitude_vector.weight": ONES[0]}, "is for DoRA"),
        ({f"{Q}.lora_B.bias": ONES[0]}, "is for a bias"),
        ({"base_model.model.model.embed_tokens.lora_embedding_A": ONES}, "a change of the embedding or the head"),
        ({"base_model.model.model.embed_tokens.lora_A.weight": ONES}, "changes the embedding, which is not supported"),
        ({"base_model.model.lm_head.lora_A.weight": ONES}, "changes the head, which is not supported"),
        ({"base_model.model.lm_head.weight": ONES}, "is no LoRA tensor; whole weights are not supported"),
        ({"base_model.model.lm_head.modules_to_save.weight": ONES}, "a whole trained module (modules_to_save)"),
        ({"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": ONES}, "is for trained tokens"),
        ({"base_model.model.model.layers.0.input_layernorm.lora_A.weight": ONES}, "is not a low-rank change of a"),
        ({"base_model.model.model.layers.0.mlp.gate.lora_A.weight": ONES}, "is not a low-rank change of a projection"),
        ({"base_model.model.model.layers.x.self_attn.q_proj.lora_A.weight": ONES}, "is not a low-rank change"),
        ({f"{Q.replace('0', '2')}.lora_A.weight": ONES}, "is for layer 2, but tiny has 2 layers, from 0"),
        ({f"{Q}.lora_A.other.weight": ONES}, "is there twice, under different names"),
        ({f"{Q.replace('0', '00')}.lora_A.weight": ONES}, "is there twice, under different names"),
    ],
)
def test_a_tensor_of_more_than_a_plain_adapter_is_refused_by_name(
    tensors: dict[str, np.ndarray], said: str, config: ModelConfig, tmp_path: Path
) -> None:
    found = message(write_peft_tensors(tmp_path, peft_tensors(matrices()) | tensors), config)
    assert said in found
    assert next(iter(tensors)).partition(".lora_")[0] in found


@pytest.mark.parametrize(
    ("side", "shape", "said"),
    [
        ("A", (8, 65), "has shape [8, 65], where tiny needs [8, 64]; was the adapter trained on another model?"),
        ("A", (64, 8), "has 64 rows, where adapter_config.json says rank 8"),
        ("A", (8,), "has shape [8], where tiny needs [8, 64]"),
        ("A", (8, 64, 1), "has shape [8, 64, 1], where tiny needs [8, 64]"),
        ("A", (0, 64), "has shape [0, 64]"),
        ("A", (), "has shape []"),
        ("B", (63, 8), "has shape [63, 8], where tiny needs [64, 8]"),
        ("B", (64, 4), "has shape [64, 4], where tiny needs [64, 8]"),
        ("B", (8, 64), "has shape [8, 64], where tiny needs [64, 8]"),
    ],
)
def test_a_shape_that_does_not_fit_the_model_is_named(
    side: str, shape: tuple[int, ...], said: str, config: ModelConfig, tmp_path: Path
) -> None:
    name = f"{Q}.lora_{side}.weight"
    tensors = peft_tensors(matrices()) | {name: np.ones(shape, np.float32)}
    found = message(write_peft_tensors(tmp_path, tensors), config)
    assert said in found
    assert name in found


@pytest.mark.parametrize("side", ["A", "B"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_finite_number_is_refused(
    side: str, value: float, config: ModelConfig, tmp_path: Path
) -> None:
    tensors = peft_tensors(matrices())
    tensors[f"{Q}.lora_{side}.weight"][3, 3] = value
    said = message(write_peft_tensors(tmp_path, tensors), config)
    assert f"'{Q}.lora_{side}.weight' has values that are not finite numbers" in said


@pytest.mark.parametrize("side", ["A", "B"])
def test_a_tensor_without_its_other_half_is_refused(side: str, config: ModelConfig, tmp_path: Path) -> None:
    tensors = peft_tensors(matrices())
    del tensors[f"{Q}.lora_{side}.weight"]
    other = "B" if side == "A" else "A"
    said = message(write_peft_tensors(tmp_path, tensors), config)
    assert f"tensor '{Q}.lora_{other}.weight' is there without its {side}" in said


def test_a_folder_that_is_no_adapter_is_told_what_is_missing(config: ModelConfig, tmp_path: Path) -> None:
    assert "there is no adapter at" in message(tmp_path / "absent", config)
    assert "is no adapter folder: it has no adapter_config.json" in message(tmp_path, config)
    assert "is a whole model, not an adapter" in message(write_folder(tmp_path / "model"), config)
    assert "holds no tensors of an adapter" in message(write_peft_tensors(tmp_path / "empty", {}), config)
    folder = write_peft(tmp_path / "adapter")
    assert f"name its folder: {folder}" in message(folder / "adapter_model.safetensors", config)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "a pickle, which can run any code when it is read; save the adapter as safetensors" in message(
        folder, config
    )
    (folder / "adapter_model.bin").unlink()
    assert "has no adapter_model.safetensors" in message(folder, config)


def test_a_name_that_is_too_long_is_an_adapter_error(config: ModelConfig, tmp_path: Path) -> None:
    assert "cannot be read" in message(tmp_path / ("x" * 5000), config)


def test_a_folder_can_hold_the_models_config_too(config: ModelConfig, tmp_path: Path) -> None:
    folder = write_peft(tmp_path)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    assert same(read_adapter(folder, config), matrices(), 2)
