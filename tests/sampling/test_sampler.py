"""Logits to tokens: exact distributions, and tokens that depend on nothing but their row and their seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.vocabulary import Controls
from friendli_endpoint.sampling.draw import pick, pick_from_row
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.random import uniforms
from friendli_endpoint.sampling.sampler import NO_TOKEN, Draw, Sampler

VOCAB = 400
SAMPLER = Sampler(HeadFinder(VOCAB, threads=1))
RANDOM = np.random.default_rng(5)
FLAT = RANDOM.normal(0, 1, VOCAB).astype(np.float32)  # the head of 64 holds less than half of it
STEEP = RANDOM.normal(0, 4, VOCAB).astype(np.float32)

CONTROLS = [
    Controls(),
    Controls(temperature=0.6),
    Controls(temperature=1.7),
    Controls(top_k=5),
    Controls(top_k=150),
    Controls(top_p=0.3),
    Controls(top_p=0.9),
    Controls(temperature=1.3, top_k=40, top_p=0.8),
    Controls(temperature=1.3, top_k=200, top_p=0.95),
]


def exact(row, controls):
    """The distribution that the controls define, in float64, over the whole vocabulary."""
    scaled = row.astype(np.float64) / controls.temperature
    kept = np.argsort(-scaled, kind="stable")[: controls.top_k or len(row)]
    probabilities = np.exp(scaled[kept] - scaled.max())
    probabilities /= probabilities.sum()
    above = np.concatenate([[0], probabilities.cumsum()[:-1]])
    inside = above < controls.top_p
    whole = np.zeros(len(row))
    whole[kept[inside]] = probabilities[inside] / probabilities[inside].sum()
    return whole


def draw(row, controls, count, first_seed=0):
    """`count` tokens of one row, each with its own seed."""
    tokens = []
    for start in range(0, count, 1000):
        draws = [Draw(0, controls, first_seed + start + i, 3) for i in range(min(1000, count - start))]
        tokens += SAMPLER.sample(row[None], draws)
    return np.array(tokens)


@pytest.mark.parametrize("row", [FLAT, STEEP], ids=["flat", "steep"])
@pytest.mark.parametrize("controls", CONTROLS, ids=str)
def test_draws_follow_the_exact_distribution(row, controls):
    """Chi-square at p = 1e-4 over bins of at least five expected draws; a fixed seed, so it is no lottery."""
    count, probabilities = 6000, exact(row, controls)
    tokens = draw(row, controls, count)
    assert probabilities[tokens].min() > 0, "a token outside the allowed set was drawn"
    order = np.argsort(-probabilities)
    expected, seen = probabilities[order] * count, np.bincount(tokens, minlength=VOCAB)[order]
    bins = np.minimum(np.cumsum(expected) // 20, max(0, count // 20 - 1)).astype(int)
    expected, seen = np.bincount(bins, expected), np.bincount(bins, seen)
    full = expected >= 5
    statistic = ((seen - expected)[full] ** 2 / expected[full]).sum()
    freedom = max(1, full.sum() - 1)
    # Wilson-Hilferty: the chi-square quantile for p = 1e-4.
    limit = freedom * (1 - 2 / (9 * freedom) + 3.719 * np.sqrt(2 / (9 * freedom))) ** 3
    assert statistic < limit


@pytest.mark.parametrize("controls", [Controls(temperature=0), Controls(top_k=1), Controls(temperature=0, top_p=0.5)])
def test_temperature_zero_and_top_k_one_are_greedy_and_the_lower_id_wins_a_tie(controls):
    row = STEEP.copy()
    row[[17, 300]] = row.max() + 1
    assert set(draw(row, controls, 50)) == {17}


def test_one_seed_repeats_and_two_seeds_differ():
    first, again, other = (draw(FLAT, Controls(), 200, seed) for seed in (0, 0, 10_000))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_token_is_the_same_alone_and_among_other_rows():
    rows = RANDOM.normal(0, 2, (37, VOCAB)).astype(np.float32)
    draws = [Draw(i, CONTROLS[i % len(CONTROLS)], i, i) for i in range(37)]
    together = SAMPLER.sample(rows, draws)
    alone = [SAMPLER.sample(rows[i : i + 1], [Draw(0, d.controls, d.seed, d.position)])[0] for i, d in enumerate(draws)]
    assert together == alone


def test_several_draws_of_one_row_are_those_of_the_row_copied():
    draws = [Draw(0, Controls(), seed, 0) for seed in range(20)]
    copied = [Draw(seed, Controls(), seed, 0) for seed in range(20)]
    assert SAMPLER.sample(FLAT[None], draws) == SAMPLER.sample(np.tile(FLAT, (20, 1)), copied)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("controls", [Controls(), Controls(temperature=0)])
def test_a_row_that_is_not_finite_gives_no_token_and_leaves_the_others_alone(value, controls):
    rows = np.stack([FLAT, STEEP])
    good = SAMPLER.sample(rows, [Draw(1, controls, 1, 1)])
    rows[0, 7] = value
    assert SAMPLER.sample(rows, [Draw(0, controls, 1, 1), Draw(1, controls, 1, 1)]) == [NO_TOKEN, *good]


@pytest.mark.parametrize("temperature", [1e-300, 1e-9, 1e-3])
def test_a_tiny_temperature_is_greedy_without_losing_precision(temperature):
    assert set(draw(STEEP, Controls(temperature=temperature), 30)) == {int(STEEP.argmax())}


def test_two_equal_tokens_share_evenly_at_a_tiny_temperature():
    row = np.full(VOCAB, -20, np.float32)
    row[[3, 5]] = 19.7
    share = (draw(row, Controls(temperature=1e-6), 4000) == 3).mean()
    assert 0.46 < share < 0.54


@given(
    top_k=st.integers(0, 30),
    top_p=st.floats(0.01, 1),
    uniform=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 99),
)
@settings(max_examples=300, deadline=None)
def test_the_ranks_given_decide_as_the_whole_row_does_or_say_that_they_cannot(top_k, top_p, uniform, seed):
    probabilities = np.sort(np.random.default_rng(seed).dirichlet(np.full(30, 0.3)))[::-1]
    controls = Controls(top_k=top_k, top_p=top_p)
    whole = pick(probabilities, controls, uniform, whole=True)
    for size in (1, 5, 29):
        assert pick(probabilities[:size], controls, uniform, whole=False) in (None, whole)


def test_equal_tokens_beyond_the_head_are_ranked_by_id_whatever_their_sign_of_zero():
    row = np.zeros(VOCAB, np.float32)
    row[::2] = -0.0
    log_sum = float(np.log(VOCAB))
    tokens = [pick_from_row(row, 1.0, log_sum, Controls(), (i + 0.5) / VOCAB) for i in range(VOCAB)]
    assert tokens == list(range(VOCAB))


def test_a_draw_from_the_whole_row_equals_the_draw_from_its_head():
    log_sum = float(np.log(np.exp(STEEP.astype(np.float64)).sum()))
    heads = draw(STEEP, Controls(), 300).tolist()
    numbers = uniforms(np.arange(300, dtype=np.uint64), np.full(300, 3, np.uint64))
    assert [pick_from_row(STEEP, 1.0, log_sum, Controls(), float(number)) for number in numbers] == heads


@pytest.mark.parametrize("controls", [Controls(), Controls(top_k=64), Controls(top_p=0.9)], ids=str)
def test_a_tie_across_the_heads_end_is_ranked_by_id(controls):
    """What is native may keep any of the equal tokens; the draw must be that of the whole row, in order."""
    row = STEEP.copy()
    tied = np.argsort(-row, kind="stable")[50:90]
    row[tied] = row[tied[0]]
    ranked = np.lexsort((np.arange(VOCAB), -row))
    probabilities = exact(row, controls)[ranked]
    mass = probabilities.cumsum()
    numbers = uniforms(np.arange(3000, dtype=np.uint64), np.full(3000, 3, np.uint64))
    whole = ranked[np.minimum(np.searchsorted(mass, numbers, side="right"), np.count_nonzero(probabilities) - 1)]
    assert (draw(row, controls, 3000) == whole).mean() > 0.999  # but for numbers on the very border of two tokens
