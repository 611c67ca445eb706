"""Small models with random weights, one per architecture and variant: argv is the folder to write them to.

Each gets a folder of config.json and safetensors, and beside it `<name>.npz`: `prompt` and its float32 `logits` at
every position, and `greedy`, what greedy decoding adds to the prompt.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

PROMPT_TOKENS, GREEDY_TOKENS = 70, 20
SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def rope(kind: str, **parameters: float) -> dict[str, object]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **parameters}}


LLAMA3 = rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = rope("yarn", factor=4.0, original_max_position_embeddings=128)
SLIDES_LATE = {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1}

CONFIGS: dict[str, PreTrainedConfig] = {
    "llama-tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama-untied": LlamaConfig(**SIZES, rope_parameters={"rope_type": "default", "rope_theta": 100000.0}, head_dim=32),
    "llama-llama3": LlamaConfig(**SIZES, **LLAMA3),
    "llama-linear-biases": LlamaConfig(**SIZES, **rope("linear", factor=2.5), attention_bias=True, mlp_bias=True),
    "mistral-sliding": MistralConfig(**SIZES, sliding_window=24),
    "mistral-full": MistralConfig(**SIZES, sliding_window=None, tie_word_embeddings=True),
    "qwen2-tied": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen2-yarn": Qwen2Config(**SIZES, **YARN),
    "qwen2-slides-late": Qwen2Config(**SIZES, **SLIDES_LATE),
    "qwen3-untied": Qwen3Config(**SIZES, head_dim=32),
    "qwen3-tied": Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True),
}
SHARDED = {"llama-untied", "qwen3-untied"}


def randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Every parameter random, norms and biases too, and exact in 16 bits, so that the other side can hold it too."""
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        spread = 1.0 + 0.2 * values if "norm" in name else (0.3 if name.endswith("bias") else 0.12) * values
        parameter.data = spread.half().float()


def write(name: str, config: PreTrainedConfig, folder: Path) -> None:
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    randomise(model, generator)
    model.save_pretrained(folder / name, max_shard_size="100KB" if name in SHARDED else "1GB")
    tokens = torch.randint(0, SIZES["vocab_size"], (1, PROMPT_TOKENS), generator=generator)
    with torch.no_grad():
        logits = model(tokens).logits[0]
        for _ in range(GREEDY_TOKENS):
            tokens = torch.cat([tokens, model(tokens, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    prompt, greedy = tokens[0, :PROMPT_TOKENS].numpy(), tokens[0, PROMPT_TOKENS:].numpy()
    np.savez(folder / f"{name}.npz", prompt=prompt, logits=logits.numpy(), greedy=greedy)


for each, its_config in CONFIGS.items():
    write(each, its_config, Path(sys.argv[1]))
