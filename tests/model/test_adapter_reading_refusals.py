"""What a peft folder asks for beside a plain LoRA adapter of this model is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from adapter_errors import message

from random_adapter import matrices, peft_tensors, write_peft, write_peft_tensors
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.config import ModelConfig

Q = "base_model.model.model.layers.0.self_attn.q_proj"


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
        ({"lora_alpha": 10**400}, "lora_alpha must be a number above 0"),
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
