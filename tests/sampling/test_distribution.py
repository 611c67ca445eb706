"""What beams are shown of a row: the distribution that their controls leave, ranked."""

import numpy as np
import pytest
from msgspec.structs import replace
from sampling_kit import FLAT, STEEP, VOCAB, Case, edited, exact

from friendli_endpoint.engine.vocabulary import Beams, Controls
from friendli_endpoint.sampling import expansions
from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT, Draw, Expansion, Place
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler

SAMPLER = Sampler(HeadFinder(VOCAB, threads=1))
PAST = {"prompt": (1, 2, 3), "output": (int(FLAT.argmax()), 9, 9)}
PENALTIES = {"repetition_penalty": 1.7, "frequency_penalty": 0.6, "bad_words": ((4,), (9, 11))}
CUTS = [
    {},
    {"top_k": 5},
    {"top_k": 100},
    {"top_p": 0.4},
    {"top_p": 0.98},
    {"min_p": 0.01},
    {"top_p": 0.9, "min_p": 0.2},
]


@pytest.fixture
def shown(monkeypatch):
    """The distributions of rows, as the beam search is given them."""

    def shown(row, case):
        seen = []
        monkeypatch.setattr(expansions, "expand", lambda ranked, draws: seen.extend(ranked) or [() for _ in draws])
        draw = case.draw(0)
        SAMPLER.sample(row[None].copy(), [Draw(0, draw.request, 0, 3, draw.history, Place(0, 0.0))])
        return seen[0]

    return shown


def complete(distribution):
    """Log-probabilities over the vocabulary, minus infinity where nothing is left, looked at step by step."""
    while not distribution.whole:
        wider = distribution.wider()
        shown = len(distribution.tokens)
        assert len(wider.tokens) > shown or wider.whole
        assert wider.logprobs[:shown].tolist() == distribution.logprobs.tolist()
        assert wider.log_mass == distribution.log_mass
        distribution = wider
    logprobs = np.full(VOCAB, -np.inf)
    logprobs[distribution.tokens] = distribution.logprobs
    assert (np.diff(distribution.logprobs) <= 0).all()
    return logprobs, distribution.log_mass


def log_sum(values):
    return np.log(np.exp(values - values.max()).sum()) + values.max()


@pytest.mark.parametrize("row", [FLAT, STEEP], ids=["flat", "steep"])
def test_deterministic_beams_see_bans_and_penalties_alone(shown, row):
    case = Case(Controls(temperature=0.3, top_k=3, top_p=0.5, **PENALTIES), **PAST, beams=Beams(4))
    logprobs, log_mass = complete(shown(row, case))
    logits = edited(row, case).astype(np.float64)
    np.testing.assert_allclose(logprobs, logits - log_sum(logits), atol=1e-6)
    assert log_mass == 0


@pytest.mark.parametrize("kind", ["NAIVE_SAMPLING", "STOCHASTIC"])
@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize("row", [FLAT, STEEP], ids=["flat", "steep"])
def test_beams_that_sample_see_what_the_controls_leave_as_a_distribution(shown, row, cuts, kind):
    case = Case(Controls(temperature=0.8, **cuts, **PENALTIES), **PAST, beams=Beams(4, kind))
    logprobs, log_mass = complete(shown(row, case))
    np.testing.assert_allclose(np.exp(logprobs), exact(row, case), rtol=1e-5, atol=1e-12)
    assert log_mass == 0


@pytest.mark.parametrize("post_normalize", [False, True])
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_normalising_before_the_controls_makes_them_see_log_probabilities(shown, cuts, post_normalize):
    beams = Beams(4, "NAIVE_SAMPLING", pre_normalize=True, post_normalize=post_normalize)
    case = Case(Controls(temperature=0.8, **cuts, **PENALTIES), **PAST, beams=beams)
    logprobs, log_mass = complete(shown(FLAT, case))
    row = (FLAT - log_sum(FLAT.astype(np.float64))).astype(np.float32)
    left = np.where(exact(row, case) > 0, edited(row, case).astype(np.float64) / 0.8, -np.inf)
    expected = left - log_sum(left) if post_normalize else left
    np.testing.assert_allclose(logprobs, expected, atol=1e-5)
    assert log_mass == pytest.approx(0 if post_normalize else log_sum(left), abs=1e-5)


def test_a_head_shows_at_least_64_tokens_or_all_that_are_left(shown):
    assert len(shown(FLAT, Case(beams=Beams(4))).tokens) >= 64
    few = Case(Controls(bad_words=tuple((i,) for i in range(3, VOCAB))), (0,), (), beams=Beams(4))
    distribution = shown(FLAT, few)
    assert distribution.whole
    assert sorted(distribution.tokens.tolist()) == [0, 1, 2]


def test_a_beam_without_tokens_says_whose_fault_that_is():
    everything = Case(Controls(bad_words=tuple((i,) for i in range(VOCAB))), beams=Beams(2)).draw(0)
    plain = Case(beams=Beams(2)).draw(0)
    for row, draw, failure in ((FLAT, everything, NOTHING_LEFT), (FLAT * np.nan, plain, NO_TOKEN)):
        beam = Draw(0, replace(draw.request), 0, 0, draw.history, Place(0, 0.0))
        assert SAMPLER.sample(row[None].copy(), [beam]) == [Expansion((), failure)]
