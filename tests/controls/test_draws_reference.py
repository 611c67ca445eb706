"""Drawn tokens follow the probabilities that `transformers` would draw by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from continuations import request
from control_cases import drawn_cases

if TYPE_CHECKING:
    from continuations import Ours
    from control_answers import Answers
    from control_cases import Tokens
    from numpy.typing import NDArray

pytestmark = pytest.mark.reference

DRAWS = 200  # of every prompt
CELL = 5  # draws that are expected at least in what is counted together
MOST_DEVIATIONS = 3.5


@pytest.mark.parametrize("name", list(drawn_cases()))
def test_first_tokens_are_drawn_by_the_probabilities_of_the_reference(
    name: str, ours: Ours, prompts: list[Tokens], theirs: Answers
) -> None:
    """Nothing else is drawn, and the counts of all prompts together pass a chi-square test."""
    seeds = [tuple(range(DRAWS * i, DRAWS * (i + 1))) for i in range(len(prompts))]
    case = drawn_cases()[name]
    asked = [request(case, prompt, 1, str(i), seeds=seeds[i]) for i, prompt in enumerate(prompts)]
    told = ours.together(asked)
    parts = []
    for i, probabilities in enumerate(theirs[name]["probabilities"]):
        drawn = [told[str(i), choice].tokens[0] for choice in range(DRAWS)]
        counts = np.bincount(drawn, minlength=len(probabilities))
        assert not counts[probabilities == 0].any()
        parts.append(chi_square(counts, DRAWS * probabilities))
    statistic, freedom = np.sum(parts, axis=0)
    print(
        f"{name}: chi-square {statistic:.0f} at {freedom:.0f} degrees, {deviations(statistic, freedom):.1f} deviations"
    )
    assert deviations(statistic, freedom) < MOST_DEVIATIONS


def chi_square(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> tuple[float, int]:
    """The statistic and its degrees of freedom; tokens are counted together until `CELL` draws are expected."""
    order = np.argsort(-expected)
    cells = np.minimum(np.cumsum(expected[order]) // CELL, DRAWS // CELL - 1).astype(np.int64)
    counted, wanted = np.bincount(cells, counts[order]), np.bincount(cells, expected[order])
    counted, wanted = counted[wanted > 0], wanted[wanted > 0]
    return ((counted - wanted) ** 2 / wanted).sum(), len(wanted) - 1


def deviations(statistic: float, freedom: float) -> float:
    """The statistic as a standard normal value (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * freedom)
    return ((statistic / freedom) ** (1 / 3) - 1 + spread) / spread**0.5
