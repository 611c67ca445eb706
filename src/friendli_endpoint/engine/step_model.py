"""The model as the scheduler drives it: one forward over any mix of prefill and decode rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.engine.vocabulary import AdapterCard, ModelCard

Logits: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward: R rows of new tokens, T in all, each behind the tokens that its KV blocks already hold.

    Row r computes `tokens[row_begins[r]:row_begins[r + 1]]` at positions `past_lens[r], past_lens[r] + 1, ...` and
    keeps its KV in the blocks `blocks[block_begins[r]:block_begins[r + 1]]`, enough of them for past and new tokens.
    `sampled` holds the S indices into `tokens` whose logits are wanted (S may be 0). The tokens at
    the E indices `replaced` enter the model as `embeddings` instead of their own. `adapters` names each row's adapter,
    None for the base model; empty, it is the base model for all. At most `ModelCard.adapters` different ones.
    """

    tokens: NDArray[np.int64]  # [T]
    past_lens: NDArray[np.int32]  # [R]
    row_begins: NDArray[np.int32]  # [R + 1]
    blocks: NDArray[np.int32]  # [sum of the rows' block tables]
    block_begins: NDArray[np.int32]  # [R + 1]
    sampled: NDArray[np.int64]  # [S]
    replaced: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # [E]
    embeddings: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [E, hidden size]
    adapters: tuple[str | None, ...] = ()  # [R], keys of `add_adapter`


class StepModel(Protocol):
    """One loaded model with its KV blocks.

    Logits of a row must not depend on the other rows of the batch, bit for bit. A caller keeps one rule for that:
    a prefill chunk has at least two tokens (a prompt of a single token aside).
    """

    @property
    def card(self) -> ModelCard:
        """The model's facts."""

    def forward(self, batch: Batch) -> Logits:
        """Logits [S, vocab_size] in float32. The caller may write to them; they are valid until the next forward."""

    def add_adapter(self, key: str, path: str) -> AdapterCard:
        """Make the adapter at `path` ready for batches that name `key`; slow, so meant for another thread.

        Safe beside `forward`. Raises `AdapterError` when it cannot be served; nothing of it is left then.
        """

    def drop_adapter(self, key: str) -> None:
        """Forget an adapter that no later batch names."""

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy KV blocks (source, destination), in every layer."""
