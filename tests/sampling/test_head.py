"""The native heads and masses against numpy."""

import numpy as np
import pytest

from friendli_endpoint.sampling.head import HEAD_SIZE, MASS_WIDTH, HeadFinder

ROWS = np.random.default_rng(1).normal(0, 5, (9, 5000)).astype(np.float32)
SCALES = np.linspace(0.3, 4, 9).astype(np.float32)
FINDER = HeadFinder(5000, threads=2)


@pytest.mark.parametrize("vocab_size", [1, 10, 64, 65, 97, 5000, 8192])
@pytest.mark.parametrize("step", [0.1, 10], ids=["few ties", "ties across the end of the head"])
def test_tokens_are_ranked_by_logit_and_equal_ones_by_id(vocab_size, step):
    rows = np.random.default_rng(1).normal(0, 5, (5, vocab_size)).astype(np.float32)
    rows = (rows / np.float32(step)).round() * np.float32(step)
    ranks, _ = HeadFinder(vocab_size, threads=1).heads(rows, SCALES[:5])
    for row, logits, tokens in zip(rows, ranks.logits, ranks.tokens, strict=True):
        order = np.lexsort((np.arange(vocab_size), -row))[:HEAD_SIZE]
        assert tokens.tolist() == order.tolist()
        assert logits.tolist() == row[order].tolist()


@pytest.mark.parametrize("factor", [1e-3, 1, 1e6])
def test_masses_are_those_of_the_scaled_rows(factor):
    scales = SCALES * np.float32(factor)
    masses = FINDER.masses(ROWS, scales)
    peaks = ROWS.max(1)
    weights = np.exp((ROWS.astype(np.float64) - peaks[:, None]) * scales.astype(np.float64)[:, None])
    assert masses.peaks.tolist() == peaks.tolist()
    np.testing.assert_allclose(masses.totals, weights.sum(1), rtol=2e-6)
    blocks = np.add.reduceat(weights, np.arange(0, 5000, MASS_WIDTH), axis=1)
    np.testing.assert_allclose(masses.blocks, blocks, rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(FINDER.masses(ROWS, np.ones(9, np.float32)).log_sums, _log_sums(ROWS), atol=1e-6)


def test_a_row_is_bit_for_bit_the_same_alone_in_any_company_and_in_both_graphs():
    ranks, together = FINDER.heads(ROWS, SCALES)
    for count in (1, 2, 3, 5, 8):
        few, masses = FINDER.heads(ROWS[-count:], SCALES[-count:])
        assert few.tokens.tolist() == ranks.tokens[-count:].tolist()
        for some in (masses, FINDER.masses(ROWS[-count:], SCALES[-count:])):
            assert some.blocks.tolist() == together.blocks[-count:].tolist()
            assert some.totals.tolist() == together.totals[-count:].tolist()


@pytest.mark.parametrize("vocab_size", [97, 5000])
def test_rows_without_a_finite_maximum_are_told(vocab_size):
    rows = ROWS[:6, :vocab_size].copy()
    rows[0, 3], rows[1, 3], rows[2] = np.nan, np.inf, -np.inf
    rows[3, 1:] = -np.inf
    rows[4] = np.nan
    _, masses = HeadFinder(vocab_size, threads=1).heads(rows, SCALES[:6])
    assert masses.sound.tolist() == [False, False, False, True, False, True]
    assert (masses.totals == 0).tolist() == [False, False, True, False, False, False]


def _log_sums(rows):
    peaks = rows.max(1).astype(np.float64)
    return np.log(np.exp(rows.astype(np.float64) - peaks[:, None]).sum(1)) + peaks
