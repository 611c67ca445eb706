"""Random controls on random rows of small vocabularies: whatever they are, the reference leaves the drawn token."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sampling_kit import Case, banned, exact

from friendli_endpoint.engine.vocabulary import Controls, Report
from friendli_endpoint.sampling.draw import NOTHING_LEFT
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler

SIZES = (3, 40, 64, 90, 200)
SAMPLERS = {size: Sampler(HeadFinder(size, threads=1)) for size in SIZES}
TOKENS = st.integers(0, 2)  # few different ones, so that n-grams repeat and bad words match

CONTROLS = st.builds(
    Controls,
    temperature=st.one_of(st.just(1.0), st.just(0.0), st.floats(0.1, 3)),
    top_k=st.one_of(st.just(0), st.integers(1, 210)),
    top_p=st.one_of(st.just(1.0), st.floats(0.01, 1)),
    min_p=st.one_of(st.just(0.0), st.floats(0, 1)),
    xtc_threshold=st.floats(0, 0.6),
    xtc_probability=st.sampled_from([0.0, 0.5, 1.0]),
    repetition_penalty=st.one_of(st.just(1.0), st.floats(0.3, 3)),
    frequency_penalty=st.one_of(st.just(0.0), st.floats(-2, 2)),
    presence_penalty=st.one_of(st.just(0.0), st.floats(-2, 2)),
    no_repeat_ngram=st.integers(1, 4),
    min_tokens=st.integers(0, 6),
    bad_words=st.lists(st.lists(TOKENS, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple),
)
CASES = st.builds(
    Case,
    controls=CONTROLS,
    prompt=st.lists(TOKENS, min_size=1, max_size=8).map(tuple),
    output=st.lists(TOKENS, max_size=8).map(tuple),
    eos=st.lists(TOKENS, max_size=2).map(tuple),
    report=st.builds(Report, logprobs=st.sampled_from([None, 0, 3])),
)
ROWS = st.builds(
    lambda seed, size, spread, step: (
        (np.random.default_rng(seed).normal(0, spread, size) / step).round() * step
    ).astype(np.float32),
    st.integers(0, 2**32),
    st.sampled_from(SIZES),
    st.floats(0.01, 8),
    st.sampled_from([1e-5, 0.5]),
)


def left(row: np.ndarray, case: Case) -> np.ndarray:
    """The tokens that the reference leaves; where a limit is met within rounding, either way."""
    c = case.controls
    if c.greedy:
        c = Controls(
            1, 1, repetition_penalty=c.repetition_penalty, frequency_penalty=c.frequency_penalty,
            presence_penalty=c.presence_penalty, no_repeat_ngram=c.no_repeat_ngram, min_tokens=c.min_tokens,
            bad_words=c.bad_words,
        )  # fmt: skip
    possible = np.zeros(len(row), bool)
    for e in (-1e-6, 1e-6):
        for f in (-1e-6, 1e-6):
            near = replace(c, top_p=c.top_p * (1 + e) if c.top_p < 1 else 1.0, min_p=min(c.min_p * (1 + e), 1))
            near = replace(near, xtc_threshold=c.xtc_threshold * (1 + f))
            possible |= exact(row, Case(near, case.prompt, case.output, case.eos)) > 0
    return possible


@given(row=ROWS, case=CASES, seed=st.integers(0, 2**64 - 1))
@settings(max_examples=300, deadline=None)
def test_the_drawn_token_is_one_that_the_reference_leaves_and_never_a_banned_one(row, case, seed):
    (pick,) = SAMPLERS[len(row)].sample(row[None].copy(), [case.draw(0, seed)])
    forbidden = banned(case)
    if all(token in forbidden for token in range(len(row))):
        assert pick.token == NOTHING_LEFT
        return
    assert pick.token not in forbidden
    assert left(row, case)[pick.token]
    assert (pick.scores is None) == (case.report.logprobs is None)


@given(
    rows=st.lists(st.integers(0, 2**32), min_size=2, max_size=9),
    cases=st.lists(CASES, min_size=9, max_size=9),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=60, deadline=None)
def test_an_outcome_is_the_same_alone_and_in_any_company(rows, cases, seed):
    logits = np.stack([np.random.default_rng(row).normal(0, 2, 200).astype(np.float32) for row in rows])
    sampler = SAMPLERS[200]
    together = sampler.sample(logits.copy(), [cases[i].draw(i, seed + i) for i in range(len(rows))])
    alone = [sampler.sample(logits[i : i + 1].copy(), [cases[i].draw(0, seed + i)])[0] for i in range(len(rows))]
    assert together == alone
