"""KV blocks: who holds which, and which hold a prompt's prefix that may come again.

A block is free, held (by one or more sequences), or idle: held by nobody but still full of a known prefix. Idle blocks
are handed out again, least recently used first, when no free one is left.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

BlockKey: TypeAlias = bytes


class IntegrityError(RuntimeError):
    """The block accounts contradict each other; a bug in the engine, never a request's fault."""


class BlockPool:
    """`count` blocks, reference-counted; a block that was published can be found again by its key."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = list(range(count - 1, -1, -1))
        self._holders = [0] * count
        self._by_key: dict[BlockKey, int] = {}
        self._keys: dict[int, BlockKey] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def available(self) -> int:
        """How many blocks can be allocated now."""
        return len(self._free) + len(self._idle)

    @property
    def held(self) -> int:
        """How many blocks somebody holds."""
        return self._count - self.available

    @property
    def idle(self) -> int:
        """How many nobody holds, but a prefix may find."""
        return len(self._idle)

    def allocate(self) -> int:
        """A block for one holder, its content undefined; there must be one available."""
        if self._free:
            block = self._free.pop()
        else:
            block, _ = self._idle.popitem(last=False)
            del self._by_key[self._keys.pop(block)]
        self._holders[block] = 1
        return block

    def share(self, block: int) -> None:
        """One more holder for a block that is held or idle."""
        self._idle.pop(block, None)
        self._holders[block] += 1

    def is_shared(self, block: int) -> bool:
        return self._holders[block] > 1

    def release(self, blocks: list[int]) -> None:
        """One holder less for each block of a sequence's table.

        Last block first: a prefix's tail is then older than its start, and goes first when room is needed.
        """
        for block in reversed(blocks):
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            if block in self._keys:
                self._idle[block] = None
            else:
                self._free.append(block)

    def publish(self, block: int, key: BlockKey) -> None:
        """Let a held, full block be found by its key; the first block of a key stays the one that is found."""
        if key not in self._by_key:
            self._by_key[key] = block
            self._keys[block] = key

    def find(self, key: BlockKey) -> int | None:
        return self._by_key.get(key)

    def is_idle(self, block: int) -> bool:
        return block in self._idle

    def check_integrity(self, tables: Iterable[list[int]]) -> None:
        """Raise `IntegrityError` unless every block is accounted for exactly once, given all live block tables."""
        holders = Counter(block for table in tables for block in table)
        if any(self._holders[block] != holders[block] for block in range(self._count)):
            raise IntegrityError("the holders of a block are miscounted")
        if sorted([*self._free, *self._idle, *holders]) != list(range(self._count)):
            raise IntegrityError("a block is lost, or in two places")
        if {block: key for key, block in self._by_key.items()} != self._keys:
            raise IntegrityError("the prefix index contradicts itself")
        if not self._keys.keys() >= self._idle.keys() or any(block in self._keys for block in self._free):
            raise IntegrityError("an idle block has no key, or a free one has")
