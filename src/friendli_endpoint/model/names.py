"""One naming for tensors: `embedding`, `final_norm`, `head`, and `layers.<i>.<part>`, biases with `.bias` behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAYER = re.compile("[0-9]{1,4}")
PROJECTIONS = ("q", "k", "v", "o", "gate", "up", "down")
# The projections that read the same input, in the order of a layer.
READERS: tuple[tuple[str, ...], ...] = (("q", "k", "v"), ("o",), ("gate", "up"), ("down",))
# The small q, k and v are one product, its output split. gate and up are not: copying their wide outputs apart costs
# as much as a product saves at few rows, and more at many (3 to 8 % of prefill).
PRODUCTS: tuple[tuple[str, ...], ...] = (("q", "k", "v"), ("o",), ("gate",), ("up",), ("down",))


def layer_tensor(layer: int, part: str) -> str:
    return f"layers.{layer}.{part}"


@dataclass(frozen=True, slots=True)
class Naming:
    """How one file format calls them, without the `.weight` or `.bias` that ends each name."""

    prefix: str
    top: Mapping[str, str]
    parts: Mapping[str, str]

    def translate(self, name: str) -> str | None:
        """The name here, or None when the format's naming does not have it."""
        stem, _, leaf = name.rpartition(".")
        ours = self._stem(stem)
        if ours is None or leaf not in {"weight", "bias"}:
            return None
        return ours if leaf == "weight" else f"{ours}.bias"

    def _stem(self, stem: str) -> str | None:
        if not stem.startswith(self.prefix):
            return self.top.get(stem)
        layer, _, part = stem.removeprefix(self.prefix).partition(".")
        ours = self.parts.get(part)
        return layer_tensor(int(layer), ours) if ours and _LAYER.fullmatch(layer) else None


GGUF = Naming(
    prefix="blk.",
    top={"token_embd": "embedding", "output_norm": "final_norm", "output": "head"},
    parts={
        "attn_norm": "attention_norm",
        "attn_q": "q",
        "attn_k": "k",
        "attn_v": "v",
        "attn_output": "o",
        "attn_q_norm": "q_norm",
        "attn_k_norm": "k_norm",
        "ffn_norm": "feed_forward_norm",
        "ffn_gate": "gate",
        "ffn_up": "up",
        "ffn_down": "down",
    },
)

HUGGING_FACE = Naming(
    prefix="model.layers.",
    top={"model.embed_tokens": "embedding", "model.norm": "final_norm", "lm_head": "head"},
    parts={
        "input_layernorm": "attention_norm",
        "self_attn.q_proj": "q",
        "self_attn.k_proj": "k",
        "self_attn.v_proj": "v",
        "self_attn.o_proj": "o",
        "self_attn.q_norm": "q_norm",
        "self_attn.k_norm": "k_norm",
        "post_attention_layernorm": "feed_forward_norm",
        "mlp.gate_proj": "gate",
        "mlp.up_proj": "up",
        "mlp.down_proj": "down",
    },
)
