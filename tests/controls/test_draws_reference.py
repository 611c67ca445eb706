"""Drawn tokens follow the probabilities that `transformers` would draw by."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from continuations import request
from control_answers import ENDED, deviations
from control_cases import drawn_cases, sampled_beam_cases

if TYPE_CHECKING:
    from continuations import Ours
    from control_answers import Answers
    from control_cases import Tokens
    from control_questions import Sampled
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
    assert shown(name, statistic, freedom) < MOST_DEVIATIONS


def chi_square(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> tuple[float, int]:
    """The statistic and its degrees of freedom; tokens are counted together until `CELL` draws are expected."""
    order = np.argsort(-expected)
    cells = np.minimum(np.cumsum(expected[order]) // CELL, DRAWS // CELL - 1).astype(np.int64)
    counted, wanted = np.bincount(cells, counts[order]), np.bincount(cells, expected[order])
    counted, wanted = counted[wanted > 0], wanted[wanted > 0]
    return ((counted - wanted) ** 2 / wanted).sum(), len(wanted) - 1


@pytest.mark.parametrize("name", list(sampled_beam_cases([[*range(50)]])))
def test_beams_are_drawn_as_often_as_by_the_reference(
    name: str, ours: Ours, sampled: dict[str, Sampled], theirs: Answers
) -> None:
    """Two samples of best hypotheses, one of each side, pass a chi-square test of being of one distribution."""
    asked = sampled[name]
    requests = [request(asked.case, asked.prompt, asked.length, str(i), seeds=(i,)) for i in range(asked.count)]
    told = ours.together(requests)
    mine = Counter(tuple(told[each.id, 0].tokens) if (each.id, 0) in told else () for each in requests)
    other = Counter(tuple(token for token in row if token != ENDED) for row in theirs[name]["tokens"].tolist())
    often = [tokens for tokens, count in (mine + other).items() if count >= 4 * CELL]
    pairs = np.array([(mine[tokens], other[tokens]) for tokens in often])
    pairs = np.vstack([pairs, asked.count - pairs.sum(0)])
    statistic = ((pairs[:, 0] - pairs[:, 1]) ** 2 / pairs.sum(1)).sum()
    assert len(often) > 10
    assert shown(name, statistic, len(often)) < MOST_DEVIATIONS


def shown(name: str, statistic: float, freedom: float) -> float:
    print(
        f"{name}: chi-square {statistic:.0f} at {freedom:.0f} degrees, {deviations(statistic, freedom):.1f} deviations"
    )
    return deviations(statistic, freedom)
