"""Random numbers that need no history: a counter-based generator, keyed by seed and position.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), for many keys at once.
A draw depends on nothing but its seed and its position in the output, so it is the same alone, in company, after
preemption and after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS: Final = 10
_MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL: Final = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)


def philox(counters: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Philox4x32-10 blocks [rows, 4] of counters [rows, 4] and keys [rows, 2]; all are 32-bit words in uint64."""
    x0, x1, x2, x3 = counters.T
    k0, k1 = keys.T
    for _ in range(_ROUNDS):
        left, right = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0, x1, x2, x3 = (right >> _HALF) ^ x1 ^ k0, right & _LOW, (left >> _HALF) ^ x3 ^ k1, left & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return np.stack([x0, x1, x2, x3], axis=1)


def uniforms(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.float64]:
    """One number in [0, 1) with 53 random bits per row, from 64-bit seeds [rows] and output positions [rows]."""
    zeros = np.zeros_like(positions)
    counters = np.stack([positions & _LOW, positions >> _HALF, zeros, zeros], axis=1)
    keys = np.stack([seeds & _LOW, seeds >> _HALF], axis=1)
    words = philox(counters, keys)
    bits = (words[:, 0] << np.uint64(21)) | (words[:, 1] >> np.uint64(11))
    return bits.astype(np.float64) * 2.0**-53
