"""The default model in float32: argv are the GGUF file, a text to read, how many tokens of it, and the npz to write."""

import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

model_file, text_file, count, out = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
reader = gguf.GGUFReader(model_file)
tensors = {t.name: torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}


def meta(key: str):
    return reader.fields[f"llama.{key}"].contents()


def unpermuted(weight: torch.Tensor, heads: int) -> torch.Tensor:
    return weight.reshape(heads, -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


config = LlamaConfig(
    vocab_size=len(tensors["token_embd.weight"]),
    hidden_size=meta("embedding_length"),
    intermediate_size=meta("feed_forward_length"),
    num_hidden_layers=meta("block_count"),
    num_attention_heads=meta("attention.head_count"),
    num_key_value_heads=meta("attention.head_count_kv"),
    max_position_embeddings=meta("context_length"),
    rms_norm_eps=meta("attention.layer_norm_rms_epsilon"),
    rope_parameters={"rope_type": "default", "rope_theta": meta("rope.freq_base")},
    tie_word_embeddings=True,
)
state = {"model.embed_tokens.weight": tensors["token_embd.weight"], "model.norm.weight": tensors["output_norm.weight"]}
state["lm_head.weight"] = state["model.embed_tokens.weight"]
for layer in range(config.num_hidden_layers):
    for theirs, ours in NAMES.items():
        weight = tensors[f"blk.{layer}.{theirs}.weight"]
        if theirs in {"attn_q", "attn_k"}:
            heads = config.num_attention_heads if theirs == "attn_q" else config.num_key_value_heads
            weight = unpermuted(weight, heads)
        state[f"model.layers.{layer}.{ours}.weight"] = weight
model = LlamaForCausalLM(config)
model.load_state_dict(state)
tokenizer = AutoTokenizer.from_pretrained(str(model_file.parent), gguf_file=model_file.name)
tokens = tokenizer(text_file.read_text(), return_tensors="pt").input_ids[:, :count]
with torch.no_grad():
    logits = model.eval()(tokens).logits[0]
np.savez(out, tokens=tokens[0].numpy(), logprobs=torch.log_softmax(logits, -1).numpy())
