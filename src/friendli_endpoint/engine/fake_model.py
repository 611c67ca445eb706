"""A step model without weights, for tests: its logits are arithmetic on the whole context, read back from the blocks.

So a wrong block table, a missed copy or a block handed to two sequences changes the tokens, as it would with a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from friendli_endpoint.engine.vocabulary import ModelCard
from friendli_endpoint.sampling.grammar import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.options import EngineOptions
    from friendli_endpoint.engine.step_model import Batch, Logits

_VOCAB: Final = 97
_HIDDEN: Final = 2
_EMPTY: Final = -1


class FakeStepModel:
    """A `StepModel` whose KV of a token is the token, and of a replaced one `stand_in`."""

    def __init__(self, *, blocks: int = 64, block_size: int = 4, context_length: int = 200) -> None:
        self._card = ModelCard("fake", "fake", _VOCAB, context_length, block_size, blocks, "none", _HIDDEN)
        self._kv = np.full((blocks, block_size), _EMPTY, np.int64)
        self.batches: list[Batch] = []
        """Every forward so far."""

    @property
    def card(self) -> ModelCard:
        return self._card

    def forward(self, batch: Batch) -> Logits:
        self.batches.append(batch)
        ends = {int(end) - 1: row for row, end in enumerate(batch.row_begins[1:])}
        tokens = batch.tokens.copy()
        tokens[batch.replaced] = [stand_in(embedding) for embedding in batch.embeddings]
        for row in range(len(batch.past_lens)):
            self._write(batch, row, tokens)
        contexts = [self._context(batch, ends[int(token)]) for token in batch.sampled]
        return np.array([context_logits(context) for context in contexts], np.float32).reshape(-1, _VOCAB)

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        for source, destination in pairs:
            self._kv[destination] = self._kv[source]

    def _slots(self, batch: Batch, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Block and offset of each token of a row, past and new."""
        length = int(batch.past_lens[row] + batch.row_begins[row + 1] - batch.row_begins[row])
        table = batch.blocks[batch.block_begins[row] : batch.block_begins[row + 1]].astype(np.int64)
        positions = np.arange(length)
        return table[positions // self._card.block_size], positions % self._card.block_size

    def _write(self, batch: Batch, row: int, tokens: NDArray[np.int64]) -> None:
        blocks, offsets = self._slots(batch, row)
        past = int(batch.past_lens[row])
        self._kv[blocks[past:], offsets[past:]] = tokens[batch.row_begins[row] : batch.row_begins[row + 1]]

    def _context(self, batch: Batch, row: int) -> NDArray[np.int64]:
        context: NDArray[np.int64] = self._kv[self._slots(batch, row)]
        return context


def stand_in(embedding: NDArray[np.float32]) -> int:
    """What `context_logits` reads where this vector [hidden size] replaced a token; no token's own number."""
    return _VOCAB + crc32(embedding.tobytes())


def context_logits(context: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logits [vocab] after a context [tokens]; every token and its place matter."""
    state = 1
    for token in context.tolist():
        state = (state * 6364136223846793005 + token + 1442695040888963407) % 2**64
    logits: NDArray[np.float64] = 3 * np.sin((state % 1000003 + 1) * (1.0 + np.arange(_VOCAB)))
    return logits


def load(options: EngineOptions) -> FakeStepModel:
    """A loader for `EngineOptions.loader`."""
    tokens = options.kv_tokens or 64 * 4
    return FakeStepModel(blocks=tokens // 4)


def load_vocabulary(options: EngineOptions) -> Vocabulary:
    """For `EngineOptions.vocabulary`: the printable characters of ASCII, one each, and two tokens without text."""
    characters = tuple(bytes([code]) for code in range(32, 127))
    return Vocabulary((*characters, b"", b""), special=frozenset({_VOCAB - 2, _VOCAB - 1}), eos_tokens=(_VOCAB - 1,))
