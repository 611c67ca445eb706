"""Adapters that peft makes and saves: argv are a model folder, and a folder for one adapter folder per case.

`deltas.npz` in each has what its adapter adds to the weights, float32 by the name of the projection's module.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CASES: dict[str, dict] = {
    "plain": {"r": 8, "lora_alpha": 16},
    "all-linear": {"r": 4, "lora_alpha": 3.5, "target_modules": "all-linear"},
    "stabilised": {"r": 6, "use_rslora": True, "lora_alpha": 5},
    "one-layer": {"r": 2, "layers_to_transform": [1], "target_modules": ["q_proj", "up_proj"]},
    "patterns": {
        "r": 4,
        "rank_pattern": {"layers.1.self_attn.q_proj": 2, "q_proj": 3, r"model\.layers\.\d+\.mlp\.(gate|up)_proj": 16},
        "alpha_pattern": {"^model.layers.0.self_attn.v_proj": 1, "^layers.0.self_attn.k_proj": 99, ".*0.mlp.*": 40},
    },
    "stabilised-patterns": {"r": 4, "use_rslora": True, "rank_pattern": {".*proj": 5}, "alpha_pattern": {"proj": 7}},
    "half": {"r": 8, "dtype": torch.bfloat16},
}


def save(model_folder: Path, folder: Path, options: dict) -> None:
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=options.pop("dtype", torch.float32))
    # Without an initialisation B is random, too; with one it would be zero, and so the change.
    config = LoraConfig(task_type="CAUSAL_LM", **{"target_modules": ALL, "init_lora_weights": False} | options)
    adapted = get_peft_model(model, config, autocast_adapter_dtype=False)
    adapted.save_pretrained(folder)
    modules = adapted.base_model.model.named_modules()
    deltas = {name: m.float().get_delta_weight("default") for name, m in modules if hasattr(m, "get_delta_weight")}
    np.savez(folder / "deltas.npz", **{name: delta.detach().numpy() for name, delta in deltas.items()})


for name, options in CASES.items():
    save(Path(sys.argv[1]), Path(sys.argv[2]) / name, options)
