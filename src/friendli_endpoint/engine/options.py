"""What an engine is started with; crosses to the child as its first frame."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from friendli_endpoint.engine.vocabulary import Abort, AddAdapter, DropAdapter, Ping, Submit


class EngineOptions(Struct, frozen=True, array_like=True, tag="options"):
    """`model` is a path to a GGUF file or a model folder; None lets the model room choose.

    `threads` are the processor threads of a forward, `kv_tokens` the capacity of the KV cache in tokens. `max_rows`
    sequences run at once, and a step computes at most `step_tokens` tokens of them: more let prompts in faster, fewer
    keep the pause between a running sequence's tokens short. `adapters` is how many LoRA adapters are held in memory,
    and so the most that one forward mixes; the others lie in `spool`, a folder for this engine alone that outlives its
    child: `EngineProcess` makes and removes it. `loader` is the function ("module:name") that turns these options into
    a `StepModel`, `vocabulary` the one that turns them into what grammars need to know of the tokens. `verify` checks
    the block accounts after every step instead of only when idle.
    """

    model: str
    weights: Literal["auto", "i8", "f16"] = "auto"
    kv: Literal["auto", "f16", "f32"] = "auto"
    threads: int | None = None
    kv_tokens: int | None = None
    max_rows: int = 128
    step_tokens: int | None = None
    adapters: int = 16
    spool: str | None = None
    loader: str = "friendli_endpoint.engine.loading:load_model"
    vocabulary: str = "friendli_endpoint.engine.loading:load_vocabulary"
    verify: bool = False


ToChild: TypeAlias = EngineOptions | Submit | Abort | AddAdapter | DropAdapter | Ping
