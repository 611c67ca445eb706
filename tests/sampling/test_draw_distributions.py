"""Draws follow the distributions that their controls define, computed in float64."""

import numpy as np
import pytest
from sampling_kit import FLAT, STEEP, VOCAB, Case, chi_square_holds, exact, tokens_of

from friendli_endpoint.engine.vocabulary import Controls
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler

SAMPLER = Sampler(HeadFinder(VOCAB, threads=1))
PENALTIES = {"repetition_penalty": 1.3, "frequency_penalty": 0.6, "presence_penalty": 0.4}
PAST = {"prompt": tuple(range(0, 200, 7)), "output": (5, 9, 5, 14, 9, 5)}

CASES = [
    Case(),
    Case(Controls(temperature=0.6)),
    Case(Controls(temperature=1.7)),
    Case(Controls(top_k=5)),
    Case(Controls(top_k=150)),
    Case(Controls(top_p=0.3)),
    Case(Controls(top_p=0.9)),
    Case(Controls(min_p=0.1)),
    Case(Controls(min_p=0.001)),
    Case(Controls(xtc_threshold=0.01, xtc_probability=0.5)),
    Case(Controls(xtc_threshold=0.2, xtc_probability=1)),
    Case(Controls(temperature=1.3, top_k=40, top_p=0.8)),
    Case(Controls(temperature=1.3, top_k=200, top_p=0.95)),
    Case(Controls(top_k=100, min_p=0.02)),
    Case(Controls(top_k=100, top_p=0.97, min_p=0.002, xtc_threshold=0.004, xtc_probability=0.7)),
    Case(Controls(top_p=0.9, xtc_threshold=0.05, xtc_probability=0.4)),
    Case(Controls(**PENALTIES), **PAST),
    Case(Controls(top_p=0.95, min_p=0.05, **PENALTIES), **PAST),
    Case(Controls(no_repeat_ngram=2, bad_words=((3,), (9, 5, 17)), min_tokens=9, **PENALTIES), eos=(20, 21), **PAST),
    Case(Controls(temperature=1.4, top_k=90, min_p=0.01, xtc_threshold=0.02, xtc_probability=0.5, **PENALTIES), **PAST),
]


@pytest.mark.parametrize("row", [FLAT, STEEP], ids=["flat", "steep"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.controls))
def test_draws_follow_the_exact_distribution(row, case):
    probabilities = exact(row, case)
    tokens = tokens_of(SAMPLER, row, case, 6000)
    assert probabilities[tokens].min() > 0, "a token outside the allowed set was drawn"
    assert chi_square_holds(tokens, probabilities)


def test_a_large_vocabulary_is_drawn_from_as_exactly():
    """Blocks of masses and blocks of ranks, the last of them not full."""
    row = np.random.default_rng(1).normal(0, 2.5, 9001).astype(np.float32)
    sampler = Sampler(HeadFinder(9001, threads=1))
    for controls in (Controls(), Controls(top_p=0.9), Controls(temperature=1.5, min_p=0.001)):
        assert chi_square_holds(tokens_of(sampler, row, Case(controls), 4000), exact(row, Case(controls)))


def test_two_equal_tokens_share_evenly_at_a_tiny_temperature():
    row = np.full(VOCAB, -20, np.float32)
    row[[3, 5]] = 19.7
    for controls in (Controls(temperature=1e-6), Controls(temperature=1e-300, top_k=9)):
        share = (tokens_of(SAMPLER, row, Case(controls), 4000) == 3).mean()
        assert 0.46 < share < 0.54


def test_the_coin_of_xtc_is_independent_of_the_draw():
    """Where the coin excludes the top choices, the draws from the rest follow their own distribution."""
    row = np.full(VOCAB, -np.inf, np.float32)
    row[:4] = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    tokens = tokens_of(SAMPLER, row, Case(Controls(xtc_threshold=0.15, xtc_probability=0.5)), 20_000)
    shares = np.bincount(tokens, minlength=4)[:4] / 20_000
    # Half of the draws are plain, the other half from 0.2 and 0.1 alone.
    np.testing.assert_allclose(shares, [0.2, 0.15, 0.1 + 1 / 3, 0.05 + 1 / 6], atol=0.015)
