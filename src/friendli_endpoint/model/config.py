"""What a model is, apart from its weights; and what its user chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.model.rope import Rope

WeightMode: TypeAlias = Literal["auto", "i8", "f16"]
KvMode: TypeAlias = Literal["auto", "f16", "f32"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The facts that the graph is built from.

    `windows` has one entry per layer: how many tokens back it attends, itself included; 0 is all of them.
    `biases` names the projections (q, k, v, o, gate, up, down) that add one.
    """

    name: str
    architecture: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocab_size: int
    context_length: int
    norm_epsilon: float
    rope: Rope
    windows: tuple[int, ...]
    tied: bool
    qk_norm: bool
    biases: frozenset[str]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What can be said of a model before it is loaded."""

    name: str
    architecture: str
    vocab_size: int
    context_length: int
    layers: int
    parameters: int
    file_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load a model.

    weights    "i8": 8 bits with one scale per 32 inputs; "f16": 16 bits; "auto": i8 wherever a matrix allows it
    kv         keys and values in 16 or 32 bits; "auto": 16 where the processor has it, else 32
    threads    processor threads for the matrix work; None: one per core that this process may use
    kv_tokens  tokens of KV to keep room for, rounded up to blocks; None: by the memory that is free
    adapters   how many LoRA adapters are held in memory, and so the most that one forward mixes
    spool      the folder where added adapters lie; without one there can be none
    """

    weights: WeightMode = "auto"
    kv: KvMode = "auto"
    threads: int | None = None
    kv_tokens: int | None = None
    adapters: int = 16
    spool: Path | None = None
