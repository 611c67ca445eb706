"""Which sizes a forward may have: few, because the runtime keeps something for each one that it has met.

A new number of tokens costs SmolLM2-135M 23 ms and 0.9 MB, for good, whatever the runtime's caches may hold; a new
number of sampled ones 1.3 MB, a new length of the adapters' groups 2.2 MB for each number of groups. With every size
up to 512 the engine would be twice as large.
"""

from __future__ import annotations

from typing import Final

from friendli_endpoint.model.paged_attention import BLOCK_SIZE

_SMALLEST: Final = 2  # a lone row would take another matrix kernel, which rounds differently
_FINENESS: Final = 4
_SAMPLED_FINENESS: Final = 2
_GROUPS_FINENESS: Final = 1


def size_for(count: int) -> int:
    """The smallest number of tokens that holds `count`.

    A sixteenth more at most, a fiftieth on average, and always less than a KV block.
    """
    return _rounded(count, _FINENESS, BLOCK_SIZE)


def sampled_size_for(count: int) -> int:
    """The smallest number of sampled tokens that holds `count`: a quarter more at most, of the head's product alone."""
    return _rounded(count, _SAMPLED_FINENESS)


def group_size_for(count: int) -> int:
    """The smallest length of a group that holds `count`: half more at most, of what is a small part of a forward."""
    return _rounded(count, _GROUPS_FINENESS)


def _rounded(count: int, fineness: int, most: int | None = None) -> int:
    """Up to 2 ** `fineness` sizes from one power of two to the next, at most `most` apart."""
    step = 1 << max((count - 1).bit_length() - fineness - 1, 0)
    step = min(step, most or step)
    return max(_SMALLEST, -(-count // step) * step)
