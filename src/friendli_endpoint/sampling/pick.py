"""The controls that cut a ranked distribution, and the draw from what they leave: the same function for any width.

Order: top-k, top-p, min-p, XTC, draw. Tokens are ranked by logit, highest first, equal ones by id, and what the
controls leave is always an interval of ranks. A draw walks it in that order. Whatever depends on probabilities that
have not been looked at is kept as a lower and an upper bound; where both give the same rank, that is the rank that the
whole row gives, and elsewhere more of the row has to be looked at. So a token never depends on how much of its row that
was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNDECIDED: Final = -1
_BEYOND: Final = np.iinfo(np.int64).max
_DOUBT: Final = 1e-5
"""How far the sum of a whole row, summed natively in float32, may be off: a hundred times what it is."""
_LEAST: Final = np.nextafter(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Cuts:
    """The controls of N draws that cut their distributions, each [N]; neutral values as in `Controls`."""

    top_k: NDArray[np.int64]
    top_p: NDArray[np.float64]
    min_p: NDArray[np.float64]

    def at(self, draws: NDArray[np.int64]) -> Cuts:
        """Those of the given draws, in that order."""
        return Cuts(self.top_k[draws], self.top_p[draws], self.min_p[draws])


@dataclass(frozen=True, slots=True)
class Chances:
    """What N draws leave to chance, each [N]: a number in [0, 1), and XTC's threshold, infinite where it is off."""

    numbers: NDArray[np.float64]
    xtc: NDArray[np.float64]

    def at(self, draws: NDArray[np.int64]) -> Chances:
        """Those of the given draws, in that order."""
        return Chances(self.numbers[draws], self.xtc[draws])


@dataclass(frozen=True, slots=True)
class Kept:
    """What the cuts leave of N distributions: a number of first ranks and their mass, each between two bounds [N].

    A size that may reach beyond the ranks given is `_BEYOND`. `sums` [N, K] are the cumulative probabilities.
    """

    sums: NDArray[np.float64]
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]]
    masses: tuple[NDArray[np.float64], NDArray[np.float64]]

    @property
    def certain(self) -> NDArray[np.bool_]:
        """The ranks given hold all that is kept, and its mass is exact [N]."""
        low, high = self.sizes
        certain: NDArray[np.bool_] = (low == high) & (high < _BEYOND)
        return certain


def keep(probabilities: NDArray[np.float64], cuts: Cuts, *, whole: bool) -> Kept:
    """Apply top-k, top-p and min-p to the K first ranks [N, K] of distributions, highest first.

    `whole` says that there are no others. The probabilities are relative to a total that may be off by `_DOUBT`.
    """
    sums = probabilities.cumsum(axis=1)
    totals = _totals(probabilities, sums, cuts.top_k, whole=whole)
    ranks = sums.shape[1]
    end = ranks if whole else _BEYOND
    limit = np.where((cuts.top_k > 0) & (cuts.top_k <= ranks), cuts.top_k, end)
    # A token that is banned is left out even where nothing else cuts.
    floors = np.maximum(cuts.min_p * probabilities[:, 0], _LEAST)
    above = np.count_nonzero(probabilities >= floors[:, None], axis=1)
    limit = np.minimum(limit, np.where(above < ranks, above, end))
    nucleus = cuts.top_p < 1
    sizes = []
    for total in totals:
        # A token stays while the mass above it is below top-p: the smallest set that reaches it.
        reached = np.count_nonzero(sums < (cuts.top_p * total)[:, None], axis=1)
        sizes.append(np.minimum(limit, np.where(nucleus & (reached < ranks), reached + 1, end)))
    least = np.where(nucleus, np.maximum(cuts.top_p * totals[0], sums[:, -1]), totals[0])
    least = np.where(cuts.min_p > 0, sums[:, -1], least)
    most = np.where(nucleus, np.minimum(totals[1], cuts.top_p * totals[1] + probabilities[:, -1]), totals[1])
    return Kept(sums, (sizes[0], sizes[1]), (_mass(sums, sizes[0], least), _mass(sums, sizes[1], most)))


def pick(probabilities: NDArray[np.float64], cuts: Cuts, chances: Chances, *, whole: bool) -> NDArray[np.int64]:
    """The rank of each drawn token [N], `UNDECIDED` when it hangs on what lies beyond the ranks given.

    `probabilities` and `whole` are as in `keep`, to which XTC and the draw are added.
    """
    kept = keep(probabilities, cuts, whole=whole)
    starts, fixed = _exclude_top_choices(probabilities, kept, chances.xtc)
    below = np.where(starts > 0, kept.sums[np.arange(len(starts)), np.maximum(starts, 1) - 1], 0.0)
    low, high = (
        np.minimum(_rank(kept.sums, below + chances.numbers * (mass - below)), size - 1)
        for mass, size in zip(kept.masses, kept.sizes, strict=True)
    )
    return np.where(fixed & (low == high) & (low < probabilities.shape[1]), low, UNDECIDED)


def _totals(
    probabilities: NDArray[np.float64], sums: NDArray[np.float64], top_k: NDArray[np.int64], *, whole: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mass that top-k leaves, between two bounds."""
    last, ranks = sums[:, -1], sums.shape[1]
    if not top_k.any():
        return (last, last) if whole else (np.maximum(last, 1 - _DOUBT), np.maximum(last, 1 + _DOUBT))
    within = np.take_along_axis(sums, np.clip(top_k - 1, 0, ranks - 1)[:, None], axis=1)[:, 0]
    if whole:
        exact = np.where(top_k > 0, within, last)
        return exact, exact
    low, high = np.maximum(last, 1 - _DOUBT), np.maximum(last, 1 + _DOUBT)
    beyond = np.minimum(high, last + (top_k - ranks) * probabilities[:, -1])
    limited, inside = top_k > 0, top_k <= ranks
    low = np.where(limited, np.where(inside, within, last), low)
    return low, np.where(limited, np.where(inside, within, beyond), high)


def _mass(sums: NDArray[np.float64], sizes: NDArray[np.int64], unseen: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mass of so many first ranks, `unseen` where they reach beyond."""
    ranks = sums.shape[1]
    seen = sums[np.arange(len(sums)), np.minimum(sizes, ranks) - 1]
    return np.where(sizes <= ranks, seen, unseen)


def _exclude_top_choices(
    probabilities: NDArray[np.float64], kept: Kept, thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """XTC: of those kept whose share of what is kept reaches the threshold all but the least likely are left out.

    Returns the first rank that stays, and whether it is certain.
    """
    if np.isinf(thresholds).all():
        return np.zeros(len(thresholds), np.int64), np.ones(len(thresholds), np.bool_)
    low, high = (
        np.minimum(np.count_nonzero(probabilities >= (thresholds * mass)[:, None], axis=1), size)
        for mass, size in zip(reversed(kept.masses), kept.sizes, strict=True)
    )
    ended = (high < probabilities.shape[1]) | (kept.sizes[1] < _BEYOND)
    return np.maximum(low - 1, 0), (low == high) & ended


def _rank(sums: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first rank whose cumulative probability lies above the target."""
    ranks: NDArray[np.int64] = np.count_nonzero(sums <= targets[:, None], axis=1)
    return ranks
