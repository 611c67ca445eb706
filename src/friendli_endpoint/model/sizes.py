"""Which sizes a forward may have: few, because the runtime keeps something for each one that it has met.

A new number of tokens costs SmolLM2-135M 23 ms and a megabyte, for good, whatever the runtime's caches may hold; so
does, nearly, a new number of sampled ones. With every size up to 512 the engine would be twice as large.
"""

from __future__ import annotations

from typing import Final

from friendli_endpoint.model.paged_attention import BLOCK_SIZE

_SMALLEST: Final = 2  # a lone row would take another matrix kernel, which rounds differently
_FINENESS: Final = 4  # bits: a size is a sixteenth more than was asked for at most, and on average a fiftieth


def size_for(count: int) -> int:
    """The smallest size that holds `count`; less than a KV block more, except for the smallest."""
    step = min(BLOCK_SIZE, 1 << max((count - 1).bit_length() - _FINENESS - 1, 0))
    return max(_SMALLEST, -(-count // step) * step)
