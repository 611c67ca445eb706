"""The two sampling kinds: what they draw against exact probabilities, and that looking further changes nothing."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from beam_models import Row, language_model, normalised, request_of, searched, tokens_of
from msgspec import structs
from test_beam_search import every_sequence

from friendli_endpoint.sampling.beams.expand import expand
from friendli_endpoint.sampling.beams.search import BeamSearch
from friendli_endpoint.sampling.beams.urn import Urn
from friendli_endpoint.sampling.draw import Draw, Expansion, Place

KINDS = ("NAIVE_SAMPLING", "STOCHASTIC")
ROOT = Place(0, 0.0)


def random_row(seed, vocab, scale):
    return normalised(np.random.default_rng(seed).normal(size=vocab) * scale)


def expanded(request, row, *, shown=64, place=ROOT, position=0, log_mass=0.0):
    """The candidates of one beam alone."""
    ranked = Row(row, min(shown, len(row)), log_mass)
    return expand([ranked], [Draw(0, request, request.seeds[0], position, beam=place)])[0]


def chi_square(counts, probabilities):
    """Deviations from standard normal: (chi-square - degrees of freedom) / sqrt(2 * degrees of freedom)."""
    counts, expected = np.asarray(counts, float), np.asarray(probabilities) * np.sum(counts)
    rare = expected < 5  # too few for the normal approximation: counted together
    counts, expected = np.append(counts[~rare], counts[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    counts, expected = counts[expected > 0], expected[expected > 0]
    degrees = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees)


def assert_uniform(numbers):
    """Kolmogorov-Smirnov; 2.2 is exceeded with probability 1e-4."""
    numbers = np.sort(numbers)
    distance = np.abs(numbers - (np.arange(len(numbers)) + 0.5) / len(numbers)).max()
    assert distance * np.sqrt(len(numbers)) < 2.2


def inclusion(probabilities, width):
    """The probability of each of N things to be among `width` drawn without replacement, by enumerating the draws."""
    included = np.zeros(len(probabilities))
    for drawn in itertools.permutations(range(len(probabilities)), width):
        left, probability = 1.0, 1.0
        for i in drawn:
            probability *= probabilities[i] / left
            left -= probabilities[i]
        included[list(drawn)] += probability
    return included


def test_stochastic_beams_are_a_sample_of_sequences_without_replacement():
    model, draws = language_model(7, 4), 3000
    sequences, logprobs = zip(*every_sequence(model, 4, 3, (0,)), strict=True)
    probabilities = np.exp(logprobs)
    assert probabilities.sum() == pytest.approx(1)
    first, included = Counter(), Counter()
    for seed in range(draws):
        search = searched(request_of(seed=seed, width=3, max_tokens=3, eos_tokens=(0,), kind="STOCHASTIC"), model)
        sample = sorted(search.complete, key=lambda hypothesis: -hypothesis.perturbed)
        sample = [(*tokens_of(h.output()), *([0] * h.cut)) for h in sample]
        assert len(set(sample)) == 3
        included.update(sample)
        first[sample[0]] += 1
    expected = inclusion(probabilities, 3)
    counts = np.array([included[sequence] for sequence in sequences])
    deviations = (counts - draws * expected) / np.sqrt(draws * expected * (1 - expected))
    assert np.abs(deviations).max() < 4.2  # 40 sequences: exceeded with probability 0.001
    assert chi_square([first[sequence] for sequence in sequences], probabilities) < 4


def test_the_stochastic_result_is_the_best_of_the_sample_by_penalised_score():
    for seed in range(20):
        request = request_of(seed=seed, width=4, eos_tokens=(0,), kind="STOCHASTIC", length_penalty=0.7)
        search = searched(request, language_model(3, 6))
        best = max(search.complete, key=lambda hypothesis: hypothesis.penalised)
        assert search.result() == (best.output(), best.reason)


def test_naive_candidates_are_drawn_without_replacement_among_all_beams():
    rows, scores, draws = [random_row(1, 4, 1.0), random_row(2, 3, 1.0)], (-1.0, -0.4), 3000
    joint = np.exp(np.concatenate([row + score for row, score in zip(rows, scores, strict=True)]))
    joint /= joint.sum()
    pairs = list(itertools.permutations(range(len(joint)), 2))
    exact = [joint[i] * joint[j] / (1 - joint[i]) for i, j in pairs]
    counts = Counter()
    for seed in range(draws):
        request = request_of(seed=seed, width=2, kind="NAIVE_SAMPLING")
        draws_of = [Draw(0, request, seed, 0, beam=Place(slot, score)) for slot, score in enumerate(scores)]
        first, second = expand([Row(row, len(row)) for row in rows], draws_of)
        candidates = [(c.perturbed, c.token) for c in first] + [(c.perturbed, c.token + 4) for c in second]
        assert len(candidates) == 4
        (_, i), (_, j) = sorted(candidates, reverse=True)[:2]
        counts[i, j] += 1
    assert chi_square([counts[pair] for pair in pairs], exact) < 4


def test_naive_search_ranks_by_draw_and_goes_on_by_score():
    request, row = request_of(width=2, max_tokens=3, eos_tokens=(0,), kind="NAIVE_SAMPLING"), random_row(0, 6, 1.0)
    for seed in range(50):
        search, candidates = BeamSearch(request), expanded(request_of(seed=seed, width=2, kind=request.beams.kind), row)
        live = search.advance([Expansion(candidates)])
        drawn = [candidate.token for candidate in candidates]
        assert len(search.complete) == (0 in drawn[:2])
        going = sorted((c for c in candidates if c.token), key=lambda c: -c.score)[:2]
        assert live == [(0, candidate.token) for candidate in going]


def test_one_naive_beam_is_plain_sampling():
    model, draws = language_model(5, 4), 2000
    sequences, logprobs = zip(*every_sequence(model, 4, 2, (0,)), strict=True)
    counts = Counter()
    for seed in range(draws):
        request = request_of(seed=seed, width=1, max_tokens=2, eos_tokens=(0,), kind="NAIVE_SAMPLING")
        (hypothesis,) = searched(request, model).complete
        counts[(*tokens_of(hypothesis.output()), *([0] * hypothesis.cut))] += 1
    assert chi_square([counts[sequence] for sequence in sequences], np.exp(logprobs)) < 4


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_tokens_beyond_the_ranks_shown_are_drawn_by_their_probability(scale):
    row, draws = random_row(0, 300, scale), 3000
    counts = Counter(expanded(request_of(seed=seed, width=2, kind="STOCHASTIC"), row)[0].token for seed in range(draws))
    assert chi_square([counts[token] for token in range(300)], np.exp(row)) < 4


@pytest.mark.parametrize("log_mass", [0.0, -5.0])
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_perturbed_values_are_the_highest_gumbels(scale, log_mass):
    row, score = random_row(4, 200, scale) + log_mass, -3.0
    gaps = [[], []]
    for seed in range(1500):
        place = Place(0, score)
        first, second, *_ = expanded(
            request_of(seed=seed, width=2, kind="NAIVE_SAMPLING"), row, place=place, log_mass=log_mass
        )
        # exp(-value) are the arrivals of a Poisson process whose rate is the mass left.
        arrivals = np.exp([-first.perturbed, -second.perturbed])
        gaps[0].append(arrivals[0] * np.exp(log_mass + score))
        gaps[1].append((arrivals[1] - arrivals[0]) * (np.exp(log_mass + score) - np.exp(first.score)))
    for waiting in gaps:
        assert_uniform(1 - np.exp(-np.array(waiting)))


@pytest.mark.parametrize("shown", [64, 300])
def test_what_is_left_in_an_urn_is_what_has_not_been_taken(shown):
    row, left = random_row(2, 300, 1.0), 1.0
    urn = Urn(Row(row, shown))
    for number in np.random.default_rng(1).random(200):
        token, logprob = urn.take(number)
        left -= np.exp(row[token])
        assert logprob == row[token]
        assert np.exp(urn.log_left) == pytest.approx(left, rel=1e-9)


def test_mass_that_is_told_but_not_there_goes_to_no_token():
    row, draws = np.full(70, -np.log(70)), 3000
    counts = Counter(Urn(Row(row, 64, np.log(2))).take((i + 0.5) / draws)[0] for i in range(draws))
    assert max(counts.values()) - min(counts.values()) <= 4


def test_the_floor_of_a_search_leaves_out_nothing_that_matters():
    for seed in range(60):
        request, model = request_of(seed=seed, width=4, max_tokens=5, kind="STOCHASTIC", eos_tokens=(0, 1)), seed % 5
        everything, needed = (searched(request, language_model(model, 7), floors=floors) for floors in (False, True))
        assert [h.perturbed for h in everything.complete] == [h.perturbed for h in needed.complete]
        assert everything.result() == needed.result()


@pytest.mark.parametrize("kind", KINDS)
def test_together_beams_draw_the_highest_of_what_they_draw_alone(kind):
    for seed in range(30):
        request = request_of(seed=seed, width=5, eos_tokens=(0,), kind=kind)
        rows = [random_row([seed, i], 200, scale) for i, scale in enumerate((0.5, 2.0, 20.0, 5.0))]
        places = [Place(slot, -slot / 2, -slot / 3, -30.0) for slot in range(4)]
        alone = [expanded(request, row, place=place) for row, place in zip(rows, places, strict=True)]
        together = expand([Row(row, 64) for row in rows], [Draw(0, request, seed, 0, beam=place) for place in places])
        most = len(alone[0])
        highest = sorted((c for candidates in alone for c in candidates), key=lambda c: -c.perturbed)[:most]
        assert together == [tuple(c for c in candidates if c in highest) for candidates in alone]


def test_requests_that_expand_together_do_not_share_their_candidates():
    row, kinds = random_row(1, 100, 1.0), ("STOCHASTIC", "DETERMINISTIC", "NAIVE_SAMPLING")
    requests = [structs.replace(request_of(seed=i, width=3, kind=kind), id=kind) for i, kind in enumerate(kinds)]
    together = expand([Row(row, 64)] * 3, [Draw(0, request, request.seeds[0], 0, beam=ROOT) for request in requests])
    assert together == [expanded(request, row) for request in requests]


def test_a_stochastic_beams_best_child_is_as_high_as_itself_and_all_fall():
    row = random_row(1, 100, 1.0)
    for seed in range(50):
        place = Place(2, -7.0, -4.5)
        children = expanded(request_of(seed=seed, width=5, kind="STOCHASTIC"), row, place=place)
        heights = [child.perturbed for child in children]
        assert heights[0] == -4.5
        assert heights == sorted(heights, reverse=True)
        assert len({child.token for child in children}) == 5
        assert all(child.score == -7.0 + row[child.token] for child in children)


@pytest.mark.parametrize("kind", ["DETERMINISTIC", *KINDS])
@pytest.mark.parametrize("scale", [0.0, 0.3, 2.0, 30.0, 1e4])
@pytest.mark.parametrize("log_mass_error", [0.0, 1e-5, -1e-5])
def test_how_much_has_been_looked_at_changes_nothing(kind, scale, log_mass_error):
    for seed in range(12):
        row = random_row(seed, 500, scale)
        row[np.random.default_rng(seed).integers(500, size=50)] = -np.inf
        row = normalised(row)
        request = request_of(seed=seed, width=31, eos_tokens=(1, 2), kind=kind)
        outcomes = {expanded(request, row, shown=shown, log_mass=log_mass_error) for shown in (64, 100, 500)}
        assert len(outcomes) == 1
        candidates = outcomes.pop()
        assert len({candidate.token for candidate in candidates}) == len(candidates)
        assert np.isfinite([candidate.score for candidate in candidates]).all()


@pytest.mark.parametrize("kind", ["DETERMINISTIC", *KINDS])
@pytest.mark.parametrize("vocab", [5, 64, 80])
def test_a_row_gives_all_its_tokens_if_as_many_are_wanted(kind, vocab):
    row = random_row(3, vocab, 2.0)
    row[1] = -np.inf
    for log_mass in (0.0, 1e-4):
        candidates = expanded(request_of(width=100, kind=kind), normalised(row), log_mass=log_mass)
        assert sorted(candidate.token for candidate in candidates) == [0, *range(2, vocab)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_temperature_still_gives_as_many_tokens_as_wanted(kind):
    for vocab in (50, 300):
        row = normalised(random_row(3, vocab, 1.0) * 1e6)
        candidates = expanded(request_of(width=4, kind=kind), row)[:4]
        assert [candidate.token for candidate in candidates] == np.argsort(-row)[:4].tolist()


def test_candidates_below_the_floor_are_left_out_and_no_others():
    for seed, scale in itertools.product(range(30), (0.5, 3.0, 30.0)):
        row, request = random_row(seed, 300, scale), request_of(seed=seed, width=6, kind="STOCHASTIC")
        everything = expanded(request, row, place=Place(1, -2.0, -1.0))
        for floor in (-1.5, -2.5, -6.0, -40.0):
            above = tuple(candidate for candidate in everything if candidate.perturbed >= floor)
            assert expanded(request, row, place=Place(1, -2.0, -1.0, floor)) == above


def test_a_peaked_row_is_not_looked_at_further_when_the_floor_decides():
    class Narrow(Row):
        def wider(self):
            raise AssertionError("looked at further")

    row = normalised(np.append(np.full(499, -30.0), 0.0))
    request, place = request_of(width=4, kind="STOCHASTIC"), Place(0, -2.0, -1.0, -5.0)
    ((candidate,),) = expand([Narrow(row, 64)], [Draw(0, request, 0, 0, beam=place)])
    assert candidate.token == 499


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_belong_to_seed_position_and_slot(kind):
    row, outcomes = random_row(1, 300, 1.0), set()
    for seed, position, slot in itertools.product((1, 2**63), (0, 1, 2**33), (0, 1)):
        request = request_of(seed=seed, width=8, kind=kind)
        once, again = (expanded(request, row, place=Place(slot, 0.0), position=position) for _ in range(2))
        assert once == again
        outcomes.add(tuple(candidate.token for candidate in once))
    assert len(outcomes) == 12


@pytest.mark.parametrize("kind", ["DETERMINISTIC", *KINDS])
def test_a_row_without_an_allowed_token_has_no_candidates(kind):
    assert expanded(request_of(width=2, kind=kind), np.full(5, -np.inf)) == ()


def test_a_draw_without_a_beam_is_refused():
    with pytest.raises(ValueError, match="not one of a beam search"):
        expand([Row(random_row(0, 5, 1.0), 5)], [Draw(0, request_of(width=2), 0, 0)])
