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
_MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_LOW: Final = 0xFFFFFFFF
_HALF: Final = 32


def philox(counters: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Philox4x32-10 blocks [rows, 4] of counters [rows, 4] and keys [rows, 2]; all are 32-bit words in uint64."""
    steps = np.arange(_ROUNDS, dtype=np.uint64)[:, None, None] * np.array(_WEYL, np.uint64)[:, None]
    # Words 0 and 2, and words 1 and 3, side by side: half as many calls, which are what this costs. Operands are all
    # of one shape, because a call with a scalar takes three times as long.
    even, odd = counters.T[::2].copy(), counters.T[1::2].copy()
    multipliers = np.repeat(np.array(_MULTIPLIERS, np.uint64)[:, None], len(counters), axis=1)
    low, half = np.full_like(even, _LOW), np.full_like(even, _HALF)
    for key in (keys.T + steps) & low:
        products = (even * multipliers)[::-1]
        np.right_shift(products, half, out=even)
        even ^= odd
        even ^= key
        np.bitwise_and(products, low, out=odd)
    return np.stack([even[0], odd[0], even[1], odd[1]], axis=1)


def _mix(x0: int, x1: int, x2: int, x3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """One block, in plain integers."""
    for _ in range(_ROUNDS):
        left, right = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0, x1 = (right >> _HALF) ^ x1 ^ k0, right & _LOW
        x2, x3 = (left >> _HALF) ^ x3 ^ k1, left & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return x0, x1, x2, x3


def uniforms(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Two independent numbers in [0, 1) with 53 random bits per row, from 64-bit seeds [rows] and output positions.

    The first [rows, 0] is for the draw, the second for whatever else a control leaves to chance.
    """
    low, half = np.uint64(_LOW), np.uint64(_HALF)
    counters = np.zeros((len(positions), 4), np.uint64)
    counters[:, 0], counters[:, 1] = positions & low, positions >> half
    words = philox(counters, np.stack([seeds & low, seeds >> half], axis=1))
    bits = (words[:, ::2] << np.uint64(21)) | (words[:, 1::2] >> np.uint64(11))
    return bits.astype(np.float64) * 2.0**-53


def beam_uniforms(seed: int, position: int, slot: int, index: int) -> tuple[float, float]:
    """Two numbers in (0, 1), both ends excluded, with 52 random bits each: the `index`-th pair of a beam at a position.

    The third word of the counter is never zero here, so no number of `uniforms` is met again. One pair in plain
    integers takes a twentieth of the time that arrays of one take.
    """
    words = _mix(position & _LOW, position >> _HALF, slot + 1, index, seed & _LOW, seed >> _HALF & _LOW)
    return _inside(words[0], words[1]), _inside(words[2], words[3])


def _inside(high: int, low: int) -> float:
    return (((high << 20) | (low >> 12)) + 0.5) * 2.0**-52
