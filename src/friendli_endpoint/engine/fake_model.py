"""A step model without weights, for tests: its logits are arithmetic on the whole context, read back from the blocks.

So a wrong block table, a missed copy or a block handed to two sequences changes the tokens, as it would with a model.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from friendli_endpoint.engine.vocabulary import AdapterCard, ModelCard
from friendli_endpoint.errors import AdapterError
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
    """A `StepModel` whose KV of a token is the token, of a replaced one `stand_in`, plus the salt of the row's adapter.

    An adapter is a text file; its text's salt (`salt_of`) changes the logits, too.
    """

    def __init__(self, *, blocks: int = 64, block_size: int = 4, context_length: int = 200, adapters: int = 0) -> None:
        self._card = ModelCard("fake", "fake", _VOCAB, context_length, block_size, blocks, "none", _HIDDEN, adapters)
        self._kv = np.full((blocks, block_size), _EMPTY, np.int64)
        self.batches: list[Batch] = []
        """Every forward so far."""
        self.salts: dict[str, int] = {}
        """The adapters that are loaded."""
        self.adding = Event()
        """While it is not set, `add_adapter` waits."""
        self.adding.set()

    @property
    def card(self) -> ModelCard:
        return self._card

    def forward(self, batch: Batch) -> Logits:
        self.batches.append(batch)
        ends = {int(end) - 1: row for row, end in enumerate(batch.row_begins[1:])}
        salts = self._salts(batch)
        tokens = batch.tokens.copy()
        tokens[batch.replaced] = [stand_in(embedding) for embedding in batch.embeddings]
        tokens += np.repeat(salts, np.diff(batch.row_begins))
        for row in range(len(batch.past_lens)):
            self._write(batch, row, tokens)
        rows = [ends[int(token)] for token in batch.sampled]
        logits = [context_logits(self._context(batch, row), int(salts[row])) for row in rows]
        return np.array(logits, np.float32).reshape(-1, _VOCAB)

    def add_adapter(self, key: str, path: str) -> AdapterCard:
        self.adding.wait()
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise AdapterError(f"{path} cannot be read: {error.strerror}") from error
        self.salts[key] = salt_of(text)
        return AdapterCard(rank=1, targets=("q",), parameters=len(text))

    def drop_adapter(self, key: str) -> None:
        del self.salts[key]

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        for source, destination in pairs:
            self._kv[destination] = self._kv[source]

    def _salts(self, batch: Batch) -> NDArray[np.int64]:
        """One per row; a batch that breaks the contract is an error."""
        adapters = batch.adapters or (None,) * len(batch.past_lens)
        if len(set(adapters) - {None}) > self._card.adapters or len(adapters) != len(batch.past_lens):
            raise ValueError(f"these are not the adapters of a batch: {adapters}")
        return np.array([0 if adapter is None else self.salts[adapter] for adapter in adapters], np.int64)

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


def salt_of(text: str) -> int:
    """What an adapter with this text adds to the KV of each token; greater than any token."""
    return (1 + crc32(text.encode())) << 24


def context_logits(context: NDArray[np.int64], salt: int = 0) -> NDArray[np.float64]:
    """The logits [vocab] after a context [tokens] as it is in the KV; every token and its place matter, and `salt`."""
    state = 1 + salt
    for token in context.tolist():
        state = (state * 6364136223846793005 + token + 1442695040888963407) % 2**64
    logits: NDArray[np.float64] = 3 * np.sin((state % 1000003 + 1) * (1.0 + np.arange(_VOCAB)))
    return logits


def load(options: EngineOptions) -> FakeStepModel:
    """A loader for `EngineOptions.loader`."""
    tokens = options.kv_tokens or 64 * 4
    return FakeStepModel(blocks=tokens // 4, adapters=options.adapters)


def load_vocabulary(options: EngineOptions) -> Vocabulary:
    """For `EngineOptions.vocabulary`: the printable characters of ASCII, one each, and two tokens without text."""
    characters = tuple(bytes([code]) for code in range(32, 127))
    return Vocabulary((*characters, b"", b""), special=frozenset({_VOCAB - 2, _VOCAB - 1}), eos_tokens=(_VOCAB - 1,))
