"""Deterministic beam search: against every sequence there is, against the rule written down plainly, and its edges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from beam_models import language_model, request_of, searched, tokens_of

from friendli_endpoint.engine.vocabulary import Request, Scores
from friendli_endpoint.sampling.beams.search import BeamSearch
from friendli_endpoint.sampling.draw import NO_TOKEN, Candidate, Expansion


def every_sequence(model, vocab, max_tokens, eos_tokens):
    """All complete sequences with their log-probabilities, EOS included."""
    for length in range(1, max_tokens + 1):
        for tokens in itertools.product(range(vocab), repeat=length):
            ends = tokens[-1] in eos_tokens or length == max_tokens
            if ends and not set(tokens[:-1]) & set(eos_tokens):
                yield tokens, sum(model(tokens[:i])[token] for i, token in enumerate(tokens))


def plain_rule(model, vocab, request):
    """What `generate` does, written over whole arrays of [beam, vocab] scores: tokens with EOS, penalised score."""
    width, penalty, eos = request.beams.width, request.beams.length_penalty, request.eos_tokens
    running, finished = [((), 0.0)], []
    for length in range(1, request.max_tokens + 1):
        scores = np.stack([model(tokens) + score for tokens, score in running]).ravel()
        best = np.argsort(-scores, kind="stable")[: max(2, 1 + len(eos)) * width]
        ranked = [((*running[i // vocab][0], int(i % vocab)), float(scores[i])) for i in best]
        done = [tokens[-1] in eos or length == request.max_tokens for tokens, _ in ranked]
        finished += [(t, s / length**penalty) for (t, s), end in list(zip(ranked, done, strict=True))[:width] if end]
        finished = sorted(finished, key=lambda item: -item[1])[:width]
        running = [item for item, end in zip(ranked, done, strict=True) if not end][:width]
        if all(done):
            break
        full = len(finished) == width
        if full and (request.beams.early_stopping or running[0][1] / length**penalty <= finished[-1][1]):
            break
    return finished


def without_eos(tokens, eos_tokens):
    return tokens[:-1] if tokens[-1] in eos_tokens else tokens


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(5))
def test_so_many_beams_as_there_are_sequences_find_the_best_of_all(seed, length_penalty):
    model = language_model(seed, 5)
    request = request_of(width=700, max_tokens=4, eos_tokens=(0,), length_penalty=length_penalty)
    best = max(every_sequence(model, 5, 4, (0,)), key=lambda item: item[1] / len(item[0]) ** length_penalty)[0]
    output, reason = searched(request, model).result()
    assert tokens_of(output) == without_eos(best, (0,))
    assert reason == ("stop" if best[-1] == 0 else "length")


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("eos_tokens", [(), (3,), (3, 0)])
def test_hypotheses_are_those_of_the_plain_rule(early_stopping, length_penalty, eos_tokens):
    for seed, width in itertools.product(range(12), (1, 2, 3, 5)):
        model = language_model(seed, 8)
        request = request_of(
            width=width,
            max_tokens=6,
            eos_tokens=eos_tokens,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
        )
        search, expected = searched(request, model), plain_rule(model, 8, request)
        found = [(tokens_of(hypothesis.output()), hypothesis.penalised) for hypothesis in search.complete]
        assert [tokens for tokens, _ in found] == [without_eos(tokens, eos_tokens) for tokens, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected])


def test_one_beam_is_the_greedy_search():
    for seed in range(20):
        model, tokens = language_model(seed, 6), ()
        while len(tokens) < 8 and (token := int(model(tokens).argmax())) != 2:
            tokens += (token,)
        output, _ = searched(request_of(width=1, max_tokens=8, eos_tokens=(2,)), model).result()
        assert tokens_of(output) == tokens


def test_of_equal_scores_the_lower_slot_and_then_the_lower_token_comes_first():
    search = searched(request_of(width=3, max_tokens=2), lambda _: np.full(4, -np.log(4)))
    assert [tokens_of(hypothesis.output()) for hypothesis in search.complete] == [(0, 0), (0, 1), (0, 2)]


def step(search, *beams):
    """Advance with candidates given as {token: score} per beam."""
    return search.advance([Expansion(tuple(Candidate(t, s) for t, s in beam.items())) for beam in beams])


def test_only_those_among_the_first_k_may_finish():
    search = BeamSearch(request_of(width=2, max_tokens=5, eos_tokens=(9,)))
    assert step(search, {1: -1.0, 2: -2.0, 9: -3.0}) == [(0, 1), (0, 2)]
    assert search.complete == []
    assert step(search, {9: -1.5, 1: -4.0}, {1: -3.0, 2: -9.0}) == [(1, 1), (0, 1)]
    assert [tokens_of(hypothesis.output()) for hypothesis in search.complete] == [(1,)]


def test_k_beams_go_on_even_if_all_offer_every_end():
    search = BeamSearch(request_of(width=3, max_tokens=9, eos_tokens=(8, 9)))
    step(search, {1: -1.0, 2: -1.1, 3: -1.2})
    ends = [{8: -2.1, 9: -2.2}, {8: -2.3, 9: -2.4}, {8: -2.5, 9: -2.6}]
    assert step(search, ends[0] | {1: -2.0, 2: -5.0}, ends[1] | {3: -6.0}, ends[2]) == [(0, 1), (0, 2), (1, 3)]


def with_two_hypotheses(second_live, *, early_stopping=False):
    """The live beams after a second step that completes the second of two hypotheses, the worst of them at -4.5."""
    search = BeamSearch(request_of(width=2, max_tokens=9, eos_tokens=(9,), early_stopping=early_stopping))
    step(search, {9: -4.0, 1: -4.5, 2: -5.0, 3: -6.0})
    return step(search, {9: -9.0, 1: -9.1}, {2: second_live, 9: -9.9})


def test_without_early_stopping_the_search_ends_when_no_beam_could_be_better_at_its_present_length():
    assert with_two_hypotheses(-8.8) == [(1, 2), (0, 1)]  # -8.8 / 2 is above -4.5
    assert with_two_hypotheses(-9.0) == []


def test_with_early_stopping_the_search_ends_with_the_kth_hypothesis():
    assert with_two_hypotheses(-8.8, early_stopping=True) == []


def test_a_length_penalty_prefers_long_or_short_hypotheses():
    def model(tokens):
        return np.log([0.5, 0.5] if len(tokens) < 5 else [1e-9, 1 - 1e-9])

    for penalty, length in ((-2.0, 0), (0.0, 0), (3.0, 6)):
        request = request_of(width=8, max_tokens=6, eos_tokens=(0,), length_penalty=penalty)
        output, _ = searched(request, model).result()
        assert len(output) == length, penalty


@pytest.mark.parametrize("penalty", [-1e6, 1e6])
def test_no_length_penalty_is_too_strong_for_floats(penalty):
    request = request_of(width=2, max_tokens=30, eos_tokens=(0,), length_penalty=penalty)
    output, _ = searched(request, language_model(1, 4)).result()
    assert len(output) <= 30


def test_a_stop_sequence_ends_a_beam_and_is_cut():
    search = BeamSearch(request_of(width=1, max_tokens=9, stop_tokens=((5, 6), (4, 5, 6))))
    for token in (5, 4, 5):
        assert step(search, {token: -1.0}) == [(0, token)]
    assert step(search, {6: -1.0}) == []
    assert search.result() == ([(5, None)], "stop")


def test_a_stop_sequence_does_not_begin_in_the_prompt():
    search = BeamSearch(request_of(width=1, max_tokens=9, stop_tokens=((1, 6),)))  # the prompt is (1,)
    assert step(search, {6: -1.0}) == [(0, 6)]


def test_a_stop_sequence_counts_once_min_tokens_stand_before_it():
    search = BeamSearch(request_of(width=1, max_tokens=9, min_tokens=2, stop_tokens=((6,), (5, 6))))
    for token in (6, 5, 5):
        assert step(search, {token: -1.0}) == [(0, token)]
    assert step(search, {6: -1.0}) == []
    assert tokens_of(search.result()[0]) == (6, 5)


def test_when_all_candidates_end_at_once_the_best_k_are_the_hypotheses():
    search = BeamSearch(request_of(width=2, max_tokens=9, stop_tokens=((5,), (6,), (7,), (8,))))
    assert step(search, {5: -1.0, 6: -2.0, 7: -3.0, 8: -4.0}) == []
    assert [hypothesis.score for hypothesis in search.complete] == [-1.0, -2.0]


def test_eos_counts_in_the_length_but_is_not_part_of_the_output_and_max_tokens_says_length():
    search = BeamSearch(request_of(width=2, max_tokens=2, eos_tokens=(9,)))
    step(search, {1: -1.0, 2: -2.0})
    assert step(search, {9: -3.0, 1: -5.0}, {3: -4.0}) == []
    outcomes = [(tokens_of(h.output()), h.reason, h.penalised) for h in search.complete]
    assert outcomes == [((1,), "stop", -1.5), ((2, 3), "length", -2.0)]


def test_scores_to_report_stay_with_their_tokens():
    search, first, second = BeamSearch(request_of(width=1, max_tokens=2)), Scores(-1.0), Scores(-0.5)
    search.advance([Expansion((Candidate(7, -1.0, scores=first),))])
    search.advance([Expansion((Candidate(8, -1.5, scores=second),))])
    assert search.result() == ([(7, first), (8, second)], "length")


def test_a_stochastic_search_holds_the_k_highest_perturbed_complete_or_not():
    search = BeamSearch(request_of(width=3, max_tokens=9, eos_tokens=(9,), kind="STOCHASTIC"))

    def perturbed(*beams):
        return search.advance([Expansion(tuple(Candidate(t, -5.0, p) for t, p in beam.items())) for beam in beams])

    assert perturbed({1: 0.0, 2: -1.0, 9: -3.0}) == [(0, 1), (0, 2)]
    assert [place.floor for place in search.places] == [-3.0, -3.0]
    assert perturbed({9: 0.0, 1: -4.0}, {2: -1.0}) == [(1, 2)]
    assert sorted(hypothesis.perturbed for hypothesis in search.complete) == [-3.0, 0.0]
    assert perturbed({1: -1.0, 2: -2.0}) == [(0, 1), (0, 2)]
    assert [hypothesis.perturbed for hypothesis in search.complete] == [0.0]


@pytest.mark.parametrize("kind", ["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"])
def test_a_beam_that_failed_is_dropped_and_the_others_go_on(kind):
    search = BeamSearch(request_of(width=2, max_tokens=9, kind=kind))
    step(search, {1: -1.0, 2: -2.0})
    live = search.advance([Expansion((), NO_TOKEN), Expansion((Candidate(3, -4.0), Candidate(4, -5.0)))])
    assert live == [(1, 3), (1, 4)]


@pytest.mark.parametrize("kind", ["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"])
def test_when_all_beams_failed_the_search_is_over_with_what_is_complete(kind):
    search = BeamSearch(request_of(width=2, max_tokens=9, eos_tokens=(9,), kind=kind))
    assert step(search, {9: -1.0, 2: -2.0}) == [(0, 2)]
    assert search.advance([Expansion((), NO_TOKEN)]) == []
    assert search.result() == ([], "stop")
    hopeless = BeamSearch(request_of(width=2, kind=kind))
    hopeless.advance([Expansion((), NO_TOKEN)])
    with pytest.raises(ValueError, match="no beam is complete"):
        hopeless.result()


def test_a_step_that_does_not_fit_the_live_beams_is_refused():
    search = BeamSearch(request_of(width=2, max_tokens=1))
    with pytest.raises(ValueError, match="2 expansions for 1 live"):
        step(search, {1: -1.0}, {1: -1.0})
    step(search, {1: -1.0})
    with pytest.raises(ValueError, match="0 expansions for 0 live"):
        step(search)
    with pytest.raises(ValueError, match="asks for no beam search"):
        BeamSearch(Request("r", (1,), (0,), 4))


def test_a_long_search_is_freed_without_recursion():
    search = BeamSearch(request_of(width=1, max_tokens=100_000))
    for _ in range(99_999):
        step(search, {1: -1.0})
    del search
