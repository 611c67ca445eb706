"""Cutting and drawing from ranks: what was looked at decides as everything does, or says that it cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_kit import FLAT, STEEP, VOCAB, Case, exact, ranked, tokens_of

from friendli_endpoint.engine.vocabulary import Controls
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.pick import UNDECIDED, Chances, Cuts, keep, pick
from friendli_endpoint.sampling.random import uniforms
from friendli_endpoint.sampling.ranking import ranked as ranked_tokens
from friendli_endpoint.sampling.sampler import Sampler

SAMPLER = Sampler(HeadFinder(VOCAB, threads=1))


@given(
    top_k=st.integers(0, 31),
    top_p=st.one_of(st.just(1.0), st.floats(0.01, 1)),
    min_p=st.one_of(st.just(0.0), st.floats(0, 1)),
    xtc=st.one_of(st.just(np.inf), st.floats(0, 0.6)),
    number=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 99),
    off=st.floats(-9e-6, 9e-6),
)
@settings(max_examples=600, deadline=None)
def test_the_ranks_given_decide_as_all_of_them_do_or_say_that_they_cannot(top_k, top_p, min_p, xtc, number, seed, off):
    """Also when the native total of the row is off by what it may be."""
    probabilities = np.sort(np.random.default_rng(seed).dirichlet(np.full(30, 0.3)))[None, ::-1] * (1 + off)
    cuts = Cuts(np.array([top_k]), np.array([top_p]), np.array([min_p]))
    chances = Chances(np.array([number]), np.array([xtc]))
    whole = pick(probabilities, cuts, chances, whole=True)
    assert 0 <= whole[0] < 30
    for size in range(1, 30):
        assert pick(probabilities[:, :size], cuts, chances, whole=False)[0] in (UNDECIDED, whole[0])


@given(top_k=st.integers(0, 31), top_p=st.floats(0.01, 1), min_p=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_what_is_certain_of_a_cut_is_what_the_whole_row_gives(top_k, top_p, min_p, seed):
    probabilities = np.sort(np.random.default_rng(seed).dirichlet(np.full(30, 0.3)))[None, ::-1]
    cuts = Cuts(np.array([top_k]), np.array([top_p]), np.array([min_p]))
    whole = keep(probabilities, cuts, whole=True)
    assert whole.certain.all()
    for size in range(1, 30):
        few = keep(probabilities[:, :size], cuts, whole=False)
        assert few.masses[0] <= whole.masses[0] * (1 + 1e-9)
        assert few.masses[1] >= whole.masses[0] * (1 - 1e-9)
        if few.certain[0]:
            assert (few.sizes[0], few.masses[0]) == (whole.sizes[0], whole.masses[0])


def test_most_draws_are_decided_by_the_head():
    """What costs time is looking at more of the row, so that has to stay rare."""
    probabilities = np.sort(np.random.default_rng(0).dirichlet(np.full(5000, 0.003), 2000), axis=1)[:, ::-1]
    numbers = np.random.default_rng(1).random(2000)
    many = np.ones(2000)
    cuts, chances = Cuts(np.zeros(2000, int), 0.95 * many, 0 * many), Chances(numbers, np.inf * many)
    picked = pick(probabilities[:, :64], cuts, chances, whole=False)
    outside = numbers * 0.95 > probabilities[:, :64].sum(1)
    assert np.count_nonzero(picked == UNDECIDED) <= np.count_nonzero(outside) + 20


@pytest.mark.parametrize("size", [1, 64, 70, 399, 400, 1000])
def test_rows_are_ranked_by_logit_and_id_and_equals_of_the_last_rank_are_all_there(size):
    row = STEEP.round(1)
    row[::9] = -0.0
    row[1::9] = 0.0
    row[3] = -np.inf
    tokens = ranked_tokens(row, size)
    assert len(tokens) >= min(size, VOCAB)
    assert tokens.tolist() == np.lexsort((np.arange(VOCAB), -row))[: len(tokens)].tolist()
    assert not np.isin(np.delete(row, tokens), row[tokens[-1]]).any()


CONTROLS = [
    Controls(top_k=64),
    Controls(top_k=70),
    Controls(top_p=0.9),
    Controls(min_p=1e-4),
    Controls(min_p=1e-6, xtc_threshold=0.001, xtc_probability=1),
    Controls(top_p=0.999, xtc_threshold=0, xtc_probability=1),
]


@pytest.mark.parametrize("controls", CONTROLS, ids=str)
@pytest.mark.parametrize("row", [FLAT, STEEP], ids=["flat", "steep"])
def test_a_tie_across_the_heads_end_is_ranked_by_id(controls, row):
    """What is native may keep any of the equal tokens; the draw must be that of the whole row, in order."""
    row = row.copy()
    tied = np.argsort(-row, kind="stable")[50:90]
    row[tied] = row[tied[0]]
    order = ranked(row)
    probabilities = exact(row, Case(controls))[order]
    mass = probabilities.cumsum()
    numbers = uniforms(np.arange(2000, dtype=np.uint64), np.zeros(2000, np.uint64))[:, 0]
    ranks = np.minimum(np.searchsorted(mass, numbers, side="right"), np.flatnonzero(probabilities)[-1])
    drawn = tokens_of(SAMPLER, row, Case(controls), 2000)
    assert (drawn == np.array(order)[ranks]).mean() > 0.999  # but for numbers on the very border of two tokens
