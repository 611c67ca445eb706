"""Random numbers that need no history: a counter-based generator, keyed by seed and position.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), for many keys at once.
A draw depends on nothing but its seed and its position in the output, so it is the same alone, in company, after
preemption and after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS: Final = 10
_MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_LOW: Final = 0xFFFFFFFF
_HALF: Final = 32

_Words = TypeVar("_Words", int, "NDArray[np.uint64]")


def philox(counters: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Philox4x32-10 blocks [rows, 4] of counters [rows, 4] and keys [rows, 2]; all are 32-bit words in uint64."""
    x0, x1, x2, x3 = counters.T
    k0, k1 = keys.T
    return np.stack(_mix(x0, x1, x2, x3, k0, k1), axis=1)


def _mix(
    x0: _Words, x1: _Words, x2: _Words, x3: _Words, k0: _Words, k1: _Words
) -> tuple[_Words, _Words, _Words, _Words]:
    """Ten rounds, on arrays of words or on single words."""
    for _ in range(_ROUNDS):
        left, right = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        # numpy's stubs call unsigned words signed once they met a plain integer; at run time they stay what they are.
        x0, x1 = (right >> _HALF) ^ x1 ^ k0, right & _LOW  # type: ignore[assignment]
        x2, x3 = (left >> _HALF) ^ x3 ^ k1, left & _LOW  # type: ignore[assignment]
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW  # type: ignore[assignment]
    return x0, x1, x2, x3


def uniforms(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Two independent numbers in [0, 1) with 53 random bits per row, from 64-bit seeds [rows] and output positions.

    The first [rows, 0] is for the draw, the second for whatever else a control leaves to chance.
    """
    zeros = np.zeros_like(positions)
    counters = np.stack([positions & _LOW, positions >> _HALF, zeros, zeros], axis=1)
    keys = np.stack([seeds & _LOW, seeds >> _HALF], axis=1)
    words = philox(counters, keys)
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
