"""Beam searches with any settings: they end, keep their bounds and give what was asked for."""

from __future__ import annotations

import numpy as np
from beam_models import language_model, request_of, searched, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.sampling.beams.search import BeamSearch
from friendli_endpoint.sampling.draw import NOTHING_LEFT, Candidate, Expansion

VOCAB = 12
TOKENS = st.integers(0, VOCAB - 1)
REQUESTS = st.builds(
    request_of,
    seed=st.integers(0, 2**64 - 1),
    max_tokens=st.integers(1, 8),
    eos_tokens=st.sets(TOKENS, max_size=3).map(tuple),
    min_tokens=st.integers(0, 4),
    width=st.integers(1, 31),
    kind=st.sampled_from(("DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC")),
    length_penalty=st.floats(-1e3, 1e3),
    early_stopping=st.booleans(),
    stop_tokens=st.lists(st.lists(TOKENS, max_size=3).map(tuple), max_size=3).map(tuple),
)


def stops_at(tokens, request):
    """The output has one of the request's endings at its end, not before `min_tokens`."""
    free = len(tokens) - request.controls.min_tokens
    stops = [stop for stop in request.beams.stop_tokens if stop and len(stop) <= free]
    return tokens[-1] in request.eos_tokens or any(tokens[-len(stop) :] == stop for stop in stops)


def generated(hypothesis):
    """All tokens of a hypothesis, those included that ended it."""
    tokens, node = (), hypothesis.node
    while node is not None:
        tokens, node = (node.token, *tokens), node.parent
    return tokens


@settings(max_examples=150, deadline=None)
@given(request=REQUESTS, model_seed=st.integers(0, 1000), scale=st.sampled_from((0.0, 1.0, 5.0, 100.0)))
def test_a_search_ends_within_max_tokens_with_distinct_hypotheses_that_end_as_they_say(request, model_seed, scale):
    model = language_model(model_seed, VOCAB, scale=scale)
    search = searched(request, model)
    assert 1 <= len(search.complete) <= request.beams.width
    assert search.result() == (search.complete[0].output(), search.complete[0].reason)
    everything = [generated(hypothesis) for hypothesis in search.complete]
    assert len(set(everything)) == len(everything)
    for hypothesis, tokens in zip(search.complete, everything, strict=True):
        output = tokens_of(hypothesis.output())
        assert output == tokens[: len(tokens) - hypothesis.cut]
        assert stops_at(tokens, request) == (hypothesis.reason == "stop") == (hypothesis.cut > 0)
        assert not any(stops_at(tokens[:end], request) for end in range(1, len(tokens)))
        assert len(tokens) == request.max_tokens or hypothesis.reason == "stop"
        assert len(output) >= min(request.controls.min_tokens, request.max_tokens)


@settings(max_examples=150, deadline=None)
@given(request=REQUESTS, data=st.data())
def test_whatever_rows_offer_the_beams_are_at_most_k_and_children_of_live_ones(request, data):
    search, number = BeamSearch(request), np.random.default_rng(data.draw(st.integers(0, 2**32)))
    for _ in range(request.max_tokens):
        expansions = []
        for place in search.places:
            tokens = number.permutation(VOCAB)[: number.integers(0, VOCAB + 1)].tolist()
            scores = np.sort(number.normal(size=len(tokens)) - 1)[::-1] + place.score
            heights = np.sort(number.normal(size=len(tokens)))[::-1] + place.perturbed
            offered = tuple(map(Candidate, tokens, scores.tolist(), heights.tolist()))
            expansions.append(Expansion(offered, 0 if offered else NOTHING_LEFT))
        moves = search.advance(expansions)
        assert len(moves) == len(search.places) <= request.beams.width
        assert [place.slot for place in search.places] == list(range(len(moves)))
        for place, (parent, token) in zip(search.places, moves, strict=True):
            assert (token, place.score) in {(way.token, way.score) for way in expansions[parent].candidates}
        if not moves:
            break
    assert search.places == []


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 31), st.integers(1, 6), st.sets(TOKENS, max_size=3), st.integers(0, 1000))
def test_a_stochastic_search_gives_exactly_k_sequences_if_there_are_so_many(width, max_tokens, eos_tokens, seed):
    request = request_of(seed=seed, width=width, max_tokens=max_tokens, eos_tokens=tuple(eos_tokens), kind="STOCHASTIC")
    others = VOCAB - len(eos_tokens)
    there_are = others**max_tokens + sum(others**n * len(eos_tokens) for n in range(max_tokens))
    assert len(searched(request, language_model(seed, VOCAB)).complete) == min(width, there_are)
