"""What broken files are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


def changed_bytes(whole: bytes, header: int, flips: int) -> Iterator[bytes]:
    """`whole`, `flips` times, each time with another byte of its first `header` ones changed."""
    rng = np.random.default_rng(3)
    for place, value in zip(rng.integers(0, header, flips), rng.integers(0, 256, flips), strict=True):
        changed = bytearray(whole)
        changed[place] = value
        yield bytes(changed)
