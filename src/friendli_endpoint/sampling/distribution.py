"""The ranked distribution of one beam's row, as `beams` looks at it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from friendli_endpoint.sampling.pick import keep
from friendli_endpoint.sampling.ranking import WIDER, ranked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.pick import Cuts


@dataclass(frozen=True, slots=True)
class BeamRow:
    """A row [vocab] after bans and penalties, and what is to be done with it.

    `peak` is its highest logit, `total` the sum of exp((logit - peak) * scale). `cuts` are of this one draw, None when
    nothing cuts the row. With `normalise` what is left becomes a distribution again.
    """

    logits: Logits
    scale: float
    peak: float
    total: float
    cuts: Cuts | None
    normalise: bool


class Distribution:
    """`beams.ranked.Ranked`: what the controls leave of a row, most probable first, as far as it has been looked at."""

    def __init__(self, row: BeamRow, values: NDArray[np.float64], tokens: NDArray[np.int64]) -> None:
        """The first ranks of the row, at least one of them allowed; more when these cannot tell what is cut."""
        while (kept := _kept(row, values)) is None:
            values, tokens = _more(row.logits, len(values))
        self._row = row
        self.tokens, self.whole = tokens[: kept.size], kept.whole
        log_mass, offset = math.log(row.total * kept.mass), row.peak * row.scale
        shift = -log_mass if row.normalise else offset
        self.logprobs = (values[: kept.size] - row.peak) * row.scale + shift
        self.log_mass = log_mass + shift

    def wider(self) -> Distribution:
        """The same with more ranks; itself when it is whole."""
        return self if self.whole else Distribution(self._row, *_more(self._row.logits, len(self.tokens)))


class _Kept(NamedTuple):
    """How many of the ranks looked at stay, the share of the row's mass that stays, and that none stay beyond."""

    size: int
    mass: float
    whole: bool


def _kept(row: BeamRow, values: NDArray[np.float64]) -> _Kept | None:
    """What stays of the first ranks; None when these cannot tell."""
    allowed = int(np.count_nonzero(values > -np.inf))
    whole = allowed < len(values) or len(values) == len(row.logits)
    if row.cuts is None:
        return _Kept(allowed, 1.0, whole)
    probabilities = np.exp((values[:allowed] - row.peak) * row.scale) / row.total
    kept = keep(probabilities[None], row.cuts, whole=whole)
    return _Kept(int(kept.sizes[0][0]), float(kept.masses[0][0]), True) if kept.certain[0] else None


def _more(row: Logits, looked_at: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    tokens = ranked(row, WIDER if looked_at < WIDER else len(row))
    return row[tokens].astype(np.float64), tokens
