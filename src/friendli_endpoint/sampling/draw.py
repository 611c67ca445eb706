"""What the engine asks of the sampling for one step, and what it gets back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from friendli_endpoint.engine.vocabulary import Request, Scores
    from friendli_endpoint.sampling.history import History

NO_TOKEN: Final = -1
"""What a draw gives when its row has no finite maximum: the model failed on it."""

NOTHING_LEFT: Final = -2
"""What a draw gives when the request's bans leave no token at all."""


class Place(NamedTuple):
    """A beam among those of its search: the `slot`-th, with the log-probability of its tokens so far.

    `perturbed` is that plus Gumbel noise; a candidate that is perturbed below `floor` cannot matter any more
    (stochastic beam search alone).
    """

    slot: int
    score: float
    perturbed: float = 0.0
    floor: float = -math.inf


@dataclass(frozen=True, slots=True)
class Draw:
    """The next token of a sequence wanted, or with `beam` the ways in which that beam may go on.

    `row` is its row of the logits, `position` how many tokens its output has: with `seed` it says which random numbers
    are its own. `history` is what the controls have to know of the sequence, None when they need nothing.
    """

    row: int
    request: Request
    seed: int
    position: int
    history: History | None = None
    beam: Place | None = None


class Pick(NamedTuple):
    """A drawn token, `NO_TOKEN` or `NOTHING_LEFT`."""

    token: int
    scores: Scores | None = None


class Candidate(NamedTuple):
    """A token by which a beam may go on; `score` and `perturbed` are those of the beam that it would make."""

    token: int
    score: float
    perturbed: float = 0.0
    scores: Scores | None = None


class Expansion(NamedTuple):
    """The candidates of one beam, best first; `failure` is 0, `NO_TOKEN` or `NOTHING_LEFT`."""

    candidates: tuple[Candidate, ...]
    failure: int = 0


Outcome: TypeAlias = Pick | Expansion
