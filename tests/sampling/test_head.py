"""The native head against numpy."""

import numpy as np
import pytest

from friendli_endpoint.sampling.head import HEAD_SIZE, HeadFinder

ROWS = np.random.default_rng(1).normal(0, 5, (9, 5000)).astype(np.float32)
SCALES = np.linspace(0.3, 4, 9).astype(np.float32)
FINDER = HeadFinder(5000, threads=2)


def test_tokens_are_ranked_by_logit_and_equal_ones_by_id():
    rows = ROWS.round()  # many ties
    heads = FINDER.find(rows, SCALES)
    for row, logits, tokens in zip(rows, heads.logits, heads.tokens, strict=True):
        assert logits.tolist() == np.sort(row)[::-1][:HEAD_SIZE].tolist()
        assert row[tokens].tolist() == logits.tolist()
        assert len(set(tokens.tolist())) == HEAD_SIZE
        assert all(a < b for a, b, tie in zip(tokens, tokens[1:], np.diff(logits) == 0, strict=False) if tie)


@pytest.mark.parametrize("factor", [1e-3, 1, 1e6])
def test_log_sums_are_those_of_the_scaled_rows(factor):
    heads = FINDER.find(ROWS, SCALES * np.float32(factor))
    scaled = ROWS.astype(np.float64) * (SCALES * np.float32(factor)).astype(np.float64)[:, None]
    peak = scaled.max(1)
    exact = np.log(np.exp(scaled - peak[:, None]).sum(1)) + peak
    np.testing.assert_allclose(heads.log_sums, exact, rtol=1e-12, atol=2e-6)


def test_a_head_is_bit_for_bit_the_same_alone_and_in_any_company():
    together = FINDER.find(ROWS, SCALES)
    for count in (1, 2, 3, 5, 8):
        few = FINDER.find(ROWS[:count], SCALES[:count])
        assert few.log_sums.tolist() == together.log_sums[:count].tolist()
        assert few.tokens.tolist() == together.tokens[:count].tolist()


def test_a_vocabulary_smaller_than_the_head_is_ranked_whole():
    row = ROWS[:2, :10].copy()
    heads = HeadFinder(10, threads=1).find(row, SCALES[:2])
    assert heads.tokens.tolist() == np.argsort(-row, axis=1).tolist()
