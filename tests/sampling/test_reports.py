"""What is told of tokens is of the rows as the model gave them."""

import numpy as np
import pytest
from sampling_kit import FLAT, STEEP, VOCAB, Case

from friendli_endpoint.engine.vocabulary import MOST_LOGPROBS, Beams, Controls, Report
from friendli_endpoint.sampling.draw import Draw, Place
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler

SAMPLER = Sampler(HeadFinder(VOCAB, threads=1))
PENALTIES = {"repetition_penalty": 1.7, "frequency_penalty": 0.6, "presence_penalty": 0.4, "bad_words": ((3,),)}
CONTROLS = [
    Controls(temperature=0),
    Controls(temperature=1.4),
    Controls(temperature=0.5, top_p=0.9),
    Controls(temperature=0, **PENALTIES),
    Controls(min_p=0.01, **PENALTIES),
    Controls(forced=(7, 8, 9, 10)),
]


def log_softmax(row):
    row = row.astype(np.float64)
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


@pytest.mark.parametrize("controls", CONTROLS, ids=str)
@pytest.mark.parametrize("count", [0, 5, MOST_LOGPROBS])
def test_log_probabilities_are_those_of_the_unmodified_row(controls, count):
    rows = np.stack([FLAT, STEEP, FLAT * 3])
    case = Case(controls, (3, 4, 5), (int(STEEP.argmax()), 4), report=Report(count))
    picks = SAMPLER.sample(rows.copy(), [case.draw(i, i) for i in range(3)])
    for row, pick in zip(rows, picks, strict=True):
        exact = log_softmax(row)
        assert pick.scores.logprob == pytest.approx(exact[pick.token], abs=1e-5)
        order = np.lexsort((np.arange(VOCAB), -row))[:count]
        assert [token for token, _ in pick.scores.top] == order.tolist()
        np.testing.assert_allclose([logprob for _, logprob in pick.scores.top], exact[order], atol=1e-5)
        assert pick.scores.logits is None


def test_equal_logits_are_told_by_id_even_across_the_heads_end():
    row = np.zeros(VOCAB, np.float32)
    row[[300, 20]] = 1
    (pick,) = SAMPLER.sample(row[None].copy(), [Case(report=Report(MOST_LOGPROBS)).draw(0)])
    assert [token for token, _ in pick.scores.top] == [20, 300, *(i for i in range(63) if i != 20)]


def test_logits_are_the_row_before_anything_was_banned():
    case = Case(Controls(**PENALTIES), (1,), (2, 3), report=Report(logits=True))
    rows = np.stack([FLAT, STEEP])
    picks = SAMPLER.sample(rows.copy(), [case.draw(0), case.draw(1)])
    assert [np.frombuffer(pick.scores.logits, np.float32).tolist() for pick in picks] == rows.tolist()


@pytest.mark.parametrize("controls", CONTROLS, ids=str)
def test_a_report_changes_no_token_and_tells_nothing_of_other_draws(controls):
    rows = np.stack([FLAT, STEEP, FLAT, STEEP])
    asking = Case(controls, (3, 4), (5, 5), report=Report(3))
    plain = Case(controls, (3, 4), (5, 5))
    mixed = SAMPLER.sample(rows.copy(), [(asking if i % 2 else plain).draw(i, i) for i in range(4)])
    silent = SAMPLER.sample(rows.copy(), [plain.draw(i, i) for i in range(4)])
    assert [pick.token for pick in mixed] == [pick.token for pick in silent]
    assert [pick.scores is None for pick in mixed] == [True, False, True, False]


def test_several_draws_of_a_row_are_each_told_of():
    first = Case(report=Report(1)).draw(0)
    picks = SAMPLER.sample(FLAT[None].copy(), [Draw(0, first.request, i, 0) for i in range(10)])
    for pick in picks:
        assert pick.scores.logprob == pytest.approx(log_softmax(FLAT)[pick.token], abs=1e-5)
        assert pick.scores.top[0][0] == FLAT.argmax()


@pytest.mark.parametrize("pre_normalize", [False, True])
@pytest.mark.parametrize("kind", ["DETERMINISTIC", "STOCHASTIC"])
def test_candidates_of_beams_are_told_from_the_unmodified_row(pre_normalize, kind):
    beams = Beams(3, kind, pre_normalize=pre_normalize)
    case = Case(Controls(**PENALTIES), (3, 4), (int(FLAT.argmax()),), report=Report(2), beams=beams)
    draw = case.draw(0)
    draw = Draw(0, draw.request, 0, 1, draw.history, Place(0, -1.0))
    (expansion,) = SAMPLER.sample(FLAT[None].copy(), [draw])
    assert expansion.candidates
    for candidate in expansion.candidates:
        assert candidate.scores.logprob == pytest.approx(log_softmax(FLAT)[candidate.token], abs=1e-5)
        assert [token for token, _ in candidate.scores.top] == np.argsort(-FLAT)[:2].tolist()


def test_the_candidates_of_a_beam_share_their_row():
    """Thirty beams with thirty candidates each would otherwise be a thousand copies of a row at every step."""
    draw = Case(report=Report(2, logits=True), beams=Beams(9)).draw(0)
    (expansion,) = SAMPLER.sample(FLAT[None].copy(), [Draw(0, draw.request, 0, 0, None, Place(0, 0.0))])
    told = [candidate.scores for candidate in expansion.candidates]
    assert len(told) > 8
    assert {(id(scores.logits), id(scores.top)) for scores in told} == {(id(told[0].logits), id(told[0].top))}
