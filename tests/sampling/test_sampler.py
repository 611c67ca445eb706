"""Tokens depend on nothing but their row, their controls, their seed and their position."""

import numpy as np
import pytest
from sampling_kit import FLAT, STEEP, VOCAB, Case, draws_of, tokens_of

from friendli_endpoint.engine.vocabulary import Controls
from friendli_endpoint.sampling import edits
from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT, Draw, Pick
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.history import History
from friendli_endpoint.sampling.sampler import Sampler

SAMPLER = Sampler(HeadFinder(VOCAB, threads=1))
PENALTIES = {"repetition_penalty": 1.2, "frequency_penalty": 0.3, "presence_penalty": 0.2}
CONTROLS = [
    Controls(),
    Controls(temperature=0),
    Controls(temperature=1.7),
    Controls(top_k=150),
    Controls(top_p=0.9),
    Controls(temperature=1.3, top_k=40, top_p=0.8, min_p=0.01),
    Controls(min_p=0.001, xtc_threshold=0.01, xtc_probability=0.5),
    Controls(temperature=0, no_repeat_ngram=2, bad_words=((7,), (3, 4)), **PENALTIES),
    Controls(top_p=0.95, min_p=0.05, min_tokens=50, **PENALTIES),
    Controls(forced=tuple(range(60))),
]


@pytest.mark.parametrize("controls", [Controls(temperature=0), Controls(top_k=1), Controls(temperature=0, top_p=0.5)])
def test_temperature_zero_and_top_k_one_are_greedy_and_the_lower_id_wins_a_tie(controls):
    row = STEEP.copy()
    row[[17, 300]] = row.max() + 1
    assert set(tokens_of(SAMPLER, row, Case(controls), 50)) == {17}


def test_greedy_obeys_bans_and_penalties():
    row = np.zeros(VOCAB, np.float32)
    row[[5, 6, 7]] = 4, 3, 2
    assert tokens_of(SAMPLER, row, Case(Controls(temperature=0, repetition_penalty=2), (5,)), 1) == [6]
    assert tokens_of(SAMPLER, row, Case(Controls(temperature=0, bad_words=((5,), (1, 6))), (9, 1)), 1) == [7]


@pytest.mark.parametrize("controls", [Controls(), Controls(top_p=0.97)])
def test_one_seed_repeats_and_two_seeds_differ(controls):
    first, again, other = (tokens_of(SAMPLER, FLAT, Case(controls), 200, seed) for seed in (0, 0, 10_000))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_token_is_the_same_alone_and_among_other_rows():
    random = np.random.default_rng(5)
    rows = random.normal(0, 2, (40, VOCAB)).astype(np.float32)
    cases = [
        Case(CONTROLS[i % len(CONTROLS)], tuple(random.integers(0, VOCAB, 9)), tuple(random.integers(0, 50, i)), (2,))
        for i in range(40)
    ]
    together = SAMPLER.sample(rows.copy(), [case.draw(i, i) for i, case in enumerate(cases)])
    alone = [SAMPLER.sample(rows[i : i + 1].copy(), [case.draw(0, i)])[0] for i, case in enumerate(cases)]
    few = SAMPLER.sample(rows.copy(), [cases[i].draw(i, i) for i in (3, 8, 31)])
    assert together == alone
    assert few == [alone[3], alone[8], alone[31]]


@pytest.mark.parametrize("controls", [Controls(), Controls(min_p=0.01, **PENALTIES)])
def test_several_draws_of_one_row_are_those_of_the_row_copied(controls):
    draws = draws_of(Case(controls, (4, 5), (6, 6)), 20)
    copied = [Draw(i, d.request, d.seed, d.position, d.history) for i, d in enumerate(draws)]
    assert SAMPLER.sample(FLAT[None].copy(), draws) == SAMPLER.sample(np.tile(FLAT, (20, 1)), copied)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("controls", CONTROLS, ids=str)
def test_a_row_that_is_not_finite_gives_no_token_and_leaves_the_others_alone(value, controls):
    rows = np.stack([FLAT, STEEP])
    case = Case(controls, (7, 7), (7, 8, 7))
    good = SAMPLER.sample(rows.copy(), [case.draw(1, 1)])
    rows[0, 7] = value  # for some of the controls in the place of a token that is banned or penalised
    assert SAMPLER.sample(rows, [case.draw(0, 1), case.draw(1, 1)]) == [Pick(NO_TOKEN), *good]


@pytest.mark.parametrize("controls", [Controls(), Controls(temperature=0), Controls(top_p=0.5)])
def test_bans_that_leave_nothing_are_told_from_a_model_that_fails(controls):
    everything = Controls(controls.temperature, top_p=controls.top_p, bad_words=tuple((i,) for i in range(VOCAB)))
    nothing = np.full(VOCAB, -np.inf, np.float32)
    for row, asked, outcome in (
        (FLAT, everything, NOTHING_LEFT),
        (nothing, everything, NO_TOKEN),
        (nothing, controls, NO_TOKEN),
    ):
        assert SAMPLER.sample(row[None].copy(), [Case(asked).draw(0)]) == [Pick(outcome)]


@pytest.mark.parametrize("temperature", [1e-300, 1e-9, 1e-3])
@pytest.mark.parametrize("top_p", [1, 0.9])
def test_a_tiny_temperature_is_greedy_without_losing_precision(temperature, top_p):
    case = Case(Controls(temperature=temperature, top_p=top_p))
    assert set(tokens_of(SAMPLER, STEEP, case, 30)) == {int(STEEP.argmax())}


def test_forced_tokens_come_in_their_order_whatever_the_logits_say():
    case = Case(Controls(forced=(9, 0, 399), repetition_penalty=2, bad_words=((9,),)))
    rows = np.tile(STEEP, (3, 1))
    picks = SAMPLER.sample(rows, [case.draw(i, position=i) for i in range(3)])
    assert [pick.token for pick in picks] == [9, 0, 399]
    assert (rows == STEEP).all()


def test_rows_of_which_nobody_asks_an_edit_stay_as_they_are():
    rows = np.tile(FLAT, (4, 1))
    case = Case(Controls(no_repeat_ngram=2, **PENALTIES), (4, 4), (4, 4))
    SAMPLER.sample(rows, [Case(Controls()).draw(0), case.draw(2)])
    assert (rows[[0, 1, 3]] == FLAT).all()
    assert (rows[2] != FLAT).any()


@pytest.mark.parametrize("controls", [Controls(), Controls(temperature=0, **PENALTIES), Controls(top_k=90)])
def test_a_grammar_decides_through_its_matcher_and_a_failed_row_is_still_told(monkeypatch, controls):
    def ban(logits, rows, matchers, masks):
        assert masks == "masks of 4"
        for row, matcher in zip(rows, matchers, strict=True):
            logits[row, [token for token in range(VOCAB) if token not in matcher]] = -np.inf

    monkeypatch.setattr(edits, "ban", ban)
    monkeypatch.setattr(edits, "masks_of", lambda matchers: f"masks of {len(matchers)}")
    rows = np.stack([FLAT, FLAT, STEEP, STEEP])
    rows[3, 8] = np.nan
    request = Case(controls).request()
    draws = [Draw(i, request, i, 0, History.of(request, allowed)) for i, allowed in enumerate([{4}, set(), {9}, {6}])]
    assert SAMPLER.sample(rows, draws) == [Pick(4), Pick(NOTHING_LEFT), Pick(9), Pick(NO_TOKEN)]
