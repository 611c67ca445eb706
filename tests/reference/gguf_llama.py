"""For oracle scripts: a llama's GGUF file as a torch model in float32."""

from pathlib import Path

import gguf
import torch
from transformers import LlamaConfig, LlamaForCausalLM

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


def read_llama(path: Path) -> LlamaForCausalLM:
    """A model with tied embeddings, its weights dequantised."""
    reader = gguf.GGUFReader(path)
    tensors = {t.name: torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}
    config = _config(reader, len(tensors["token_embd.weight"]))
    embedding = tensors["token_embd.weight"]
    state = {"model.embed_tokens.weight": embedding, "model.norm.weight": tensors["output_norm.weight"]}
    state["lm_head.weight"] = embedding
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for theirs, ours in NAMES.items():
            weight = tensors[f"blk.{layer}.{theirs}.weight"]
            weight = _unpermuted(weight, heads[theirs]) if theirs in heads else weight
            state[f"model.layers.{layer}.{ours}.weight"] = weight
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    return model.eval()


def _config(reader: gguf.GGUFReader, vocab_size: int) -> LlamaConfig:
    def meta(key: str):
        return reader.fields[f"llama.{key}"].contents()

    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=meta("embedding_length"),
        intermediate_size=meta("feed_forward_length"),
        num_hidden_layers=meta("block_count"),
        num_attention_heads=meta("attention.head_count"),
        num_key_value_heads=meta("attention.head_count_kv"),
        max_position_embeddings=meta("context_length"),
        rms_norm_eps=meta("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": meta("rope.freq_base")},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def _unpermuted(weight: torch.Tensor, heads: int) -> torch.Tensor:
    return weight.reshape(heads, -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)
