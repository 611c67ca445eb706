"""Block tables of sequences over the pool of KV blocks: growing, sharing, copying on write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.engine.blocks import BlockPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from friendli_endpoint.engine.sequence import Sequence


class BlockTables:
    """Every change of a sequence's `blocks` and `computed` that is not a step's plain progress happens here."""

    def __init__(self, count: int, block_size: int) -> None:
        self._pool = BlockPool(count)
        self.block_size = block_size

    @property
    def available(self) -> int:
        """How many blocks can be had now."""
        return self._pool.available

    @property
    def held(self) -> int:
        """How many blocks sequences hold."""
        return self._pool.held

    @property
    def idle(self) -> int:
        """How many no sequence holds, but one may find by its prompt."""
        return self._pool.idle

    def needed(self, tokens: int) -> int:
        """How many blocks hold so many tokens."""
        return -(-tokens // self.block_size)

    def cached(self, sequence: Sequence) -> list[int]:
        """The blocks of the longest prefix of the prompt that are still there.

        What is left to compute is at least two tokens, as for any chunk of a prompt (see `Sequence.chunk`).
        """
        blocks: list[int] = []
        for key in sequence.keys[: max(0, (sequence.prompt_length - 2) // self.block_size)]:
            block = self._pool.find(key)
            if block is None:
                break
            blocks.append(block)
        return blocks

    def cost(self, sequence: Sequence, prefix: list[int]) -> int:
        """How many of the available blocks `begin` would take."""
        return self.needed(len(sequence.tokens)) - len(prefix) + sum(map(self._pool.is_idle, prefix))

    def begin(self, sequence: Sequence, prefix: list[int]) -> None:
        """Blocks for all its tokens, of which `prefix` is computed; `cost` says how many must be available."""
        for block in prefix:
            self._pool.share(block)
        missing = self.needed(len(sequence.tokens)) - len(prefix)
        sequence.blocks = prefix + [self._pool.allocate() for _ in range(missing)]
        sequence.computed = len(prefix) * self.block_size

    def share(self, source: Sequence, taker: Sequence, computed: int) -> None:
        """Let `taker` stand behind the first `computed` tokens of `source`, which are its own, too."""
        taker.blocks, taker.computed = source.blocks[: self.needed(computed)], computed
        for block in taker.blocks:
            self._pool.share(block)

    def make_writable(self, sequence: Sequence, count: int, copies: list[tuple[int, int]]) -> bool:
        """Give a sequence blocks of its own for its next tokens, noting in `copies` what has to be copied first.

        False when more blocks are needed than there are; what has been done so far stays.
        """
        first, end = sequence.computed // self.block_size, self.needed(sequence.computed + count)
        while len(sequence.blocks) < end:
            if not self._pool.available:
                return False
            sequence.blocks.append(self._pool.allocate())
        for place in range(first, end):
            if self._pool.is_shared(sequence.blocks[place]):
                if not self._pool.available:
                    return False
                copies.append(self._copy(sequence, place))
        return True

    def publish(self, sequence: Sequence, count: int) -> None:
        """Let the prompt's blocks that the next `count` tokens fill be found again.

        Only what prefill wrote: decode rows write other bits for the same tokens.
        """
        for place in range(sequence.computed // self.block_size, (sequence.computed + count) // self.block_size):
            self._pool.publish(sequence.blocks[place], sequence.keys[place])

    def release(self, sequence: Sequence) -> None:
        """Give a sequence's blocks back; nothing of it is computed then."""
        self._pool.release(sequence.blocks)
        sequence.blocks, sequence.computed = [], 0

    def check_integrity(self, sequences: Iterable[Sequence]) -> None:
        """Raise `IntegrityError` unless the tables of these sequences, all that live, account for every block."""
        self._pool.check_integrity(sequence.blocks for sequence in sequences)

    def _copy(self, sequence: Sequence, place: int) -> tuple[int, int]:
        shared, own = sequence.blocks[place], self._pool.allocate()
        self._pool.release([shared])
        sequence.blocks[place] = own
        return shared, own
