"""A row's distribution as beams see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from friendli_endpoint.engine.vocabulary import MOST_LOGPROBS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_RANKS: Final = MOST_LOGPROBS
"""So many of its most probable tokens a `Ranked` shows at least, all of them if there are fewer."""


class Ranked(Protocol):
    """What the controls leave of a row: its tokens, most probable first, equal ones by id, as far as looked at.

    Of those that equal the last one looked at some may be missing, unless it is `whole`. Tokens that are not allowed
    are left out, or come last with minus infinity.
    """

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Their ids [ranks]."""

    @property
    def logprobs(self) -> NDArray[np.float64]:
        """Their log-probabilities [ranks], falling; not normalised when `Beams.post_normalize` is False."""

    @property
    def log_mass(self) -> float:
        """Log-sum-exp of the complete distribution, 0 when normalised; float32's precision is enough."""

    @property
    def whole(self) -> bool:
        """Nothing lies beyond the ranks shown."""

    def wider(self) -> Ranked:
        """More of it, in the end all of it; the log-probabilities it shows already stay the same bit for bit."""


def look_at(ranked: Ranked, ranks: int) -> Ranked:
    """The distribution looked at so far that its first ranks are certain: tokens that equal them may not be missing."""
    while not ranked.whole and (len(ranked.tokens) <= ranks or ranked.logprobs[ranks - 1] == ranked.logprobs[-1]):
        ranked = ranked.wider()
    return ranked
