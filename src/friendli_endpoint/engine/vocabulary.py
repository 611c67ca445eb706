"""What crosses the engine's border: frozen messages, tokens only, named by their direction.

A request goes in as one `Submit`; what comes back are `Prefilled`, then one `Sampled` per token and choice,
then one `Finished` per choice (or one `Failed` for the whole request).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

FinishReason: TypeAlias = Literal["stop", "length"]


class Controls(Struct, frozen=True, array_like=True):
    """How a row's logits become a token; the defaults sample from the unmodified distribution.

    `temperature` 0 and `top_k` 1 are greedy. `top_k` 0 and `top_p` 1 are off.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    @property
    def greedy(self) -> bool:
        return self.temperature == 0 or self.top_k == 1


class Request(Struct, frozen=True, array_like=True):
    """One prompt and everything that decides its continuation.

    `seeds` has one 64-bit seed per choice, so its length is `n`. `max_tokens` bounds each choice and is already
    resolved: prompt and output fit the context. A choice that samples one of `eos_tokens` finishes with "stop"; that
    token is not reported. `scope` keeps prefix caches apart (team). `generated` holds tokens per choice that an
    earlier engine has already reported: they are replayed, not reported again.
    """

    id: str
    prompt: tuple[int, ...]
    seeds: tuple[int, ...]
    max_tokens: int
    eos_tokens: tuple[int, ...] = ()
    controls: Controls = Controls()
    adapter: str | None = None
    scope: str = ""
    generated: tuple[tuple[int, ...], ...] = ()


class ModelCard(Struct, frozen=True, array_like=True):
    """What an engine says of its model: sizes in tokens; `kv_blocks` blocks of `block_size` tokens hold all KV."""

    name: str
    architecture: str
    vocab_size: int
    context_length: int
    block_size: int
    kv_blocks: int
    weights: str

    @property
    def longest_sequence(self) -> int:
        """The most tokens that one sequence can have, prompt and output together."""
        return min(self.context_length, self.kv_blocks * self.block_size)


# To the engine


class Submit(Struct, frozen=True, array_like=True, tag="submit"):
    """Continue a prompt."""

    request: Request


class Abort(Struct, frozen=True, array_like=True, tag="abort"):
    """Forget a request, or one choice of it, wherever it is; no further events of it follow.

    Unknown ids are ignored, because the request may just have finished.
    """

    request_id: str
    choice: int | None = None


ToEngine: TypeAlias = Submit | Abort


# From the engine


class Prefilled(Struct, frozen=True, array_like=True, tag="prefilled"):
    """The prompt has been read; `cached_tokens` of it came from the prefix cache. First event of a request."""

    request_id: str
    cached_tokens: int


class Sampled(Struct, frozen=True, array_like=True, tag="sampled"):
    request_id: str
    choice: int
    token: int


class Finished(Struct, frozen=True, array_like=True, tag="finished"):
    """A choice is complete; the last event of that choice."""

    request_id: str
    choice: int
    reason: FinishReason


class Failed(Struct, frozen=True, array_like=True, tag="failed"):
    """A whole request failed inside the engine; its last event."""

    request_id: str
    message: str


TokenEvent: TypeAlias = Prefilled | Sampled | Finished
Event: TypeAlias = TokenEvent | Failed


class Ready(Struct, frozen=True, array_like=True, tag="ready"):
    """The model is loaded; the first frame of a child that starts well."""

    card: ModelCard


class LoadFailed(Struct, frozen=True, array_like=True, tag="load_failed"):
    """The model could not be loaded; the only frame of such a child."""

    message: str


class Stepped(Struct, frozen=True, array_like=True, tag="stepped"):
    """All events of one step."""

    events: tuple[Event, ...]


FromEngine: TypeAlias = Ready | LoadFailed | Stepped
