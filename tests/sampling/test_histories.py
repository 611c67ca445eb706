"""What a sequence's history knows is what a plain look at its tokens tells."""

from collections import Counter
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_kit import VOCAB, Case, banned, edited

from friendli_endpoint.engine.vocabulary import Controls
from friendli_endpoint.sampling.edits import Edits
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.history import History
from friendli_endpoint.sampling.ngrams import Ngrams
from friendli_endpoint.sampling.penalties import Counts
from friendli_endpoint.sampling.rows import Rows

FINDER = HeadFinder(VOCAB, threads=1)
TOKENS = st.integers(0, 2)
TEXT = st.lists(TOKENS, max_size=30)
WORDS = st.lists(st.lists(TOKENS, min_size=1, max_size=4).map(tuple), max_size=5).map(tuple)
PENALTIES = {"repetition_penalty": 1.4, "frequency_penalty": 0.7, "presence_penalty": -0.2}


class RecordingMatcher:
    """A grammar's matcher that keeps what it was given."""

    def __init__(self, pushed=()):
        self.pushed = list(pushed)

    def push(self, token):
        self.pushed.append(token)

    def copy(self):
        return RecordingMatcher(self.pushed)


def read_in_pieces(history, tokens, ends):
    for end in sorted({*ends, len(tokens)}):
        history.read(tokens[:end])


@pytest.mark.parametrize(
    "controls",
    [
        Controls(),
        Controls(temperature=0, top_k=3, top_p=0.5, min_p=0.1),
        Controls(min_tokens=4),
        Controls(forced=(1, 2)),
    ],
)
def test_controls_that_look_at_nothing_need_no_history(controls):
    assert History.of(Case(controls).request(), None) is None


@given(
    prompt=TEXT.filter(bool),
    output=TEXT,
    size=st.integers(1, 5),
    words=WORDS,
    ends=st.sets(st.integers(1, 60), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_bans_are_those_of_the_whole_text_however_it_was_read(prompt, output, size, words, ends):
    case = Case(Controls(no_repeat_ngram=size, bad_words=words, **PENALTIES), tuple(prompt), tuple(output))
    history = History.of(case.request(), None)
    read_in_pieces(history, prompt + output, {end for end in ends if end <= len(prompt + output)})
    assert set(history.banned()) == banned(case)
    assert dict(zip(history.context.tokens.tolist(), history.context.counts.tolist(), strict=True)) == Counter(
        prompt + output
    )
    assert dict(zip(history.output.tokens.tolist(), history.output.counts.tolist(), strict=True)) == Counter(output)


@given(start=TEXT, left=TEXT, right=TEXT, size=st.integers(2, 4), words=WORDS)
@settings(max_examples=100, deadline=None)
def test_a_copy_goes_on_on_its_own(start, left, right, size, words):
    prompt = (1, *start[: len(start) // 2])
    outputs = [tuple(start) + tuple(end) for end in (left, right)]
    cases = [Case(Controls(no_repeat_ngram=size, bad_words=words, **PENALTIES), prompt, output) for output in outputs]
    first = History.of(cases[0].request(), None)
    first.read([*prompt, *start])
    for history, case in zip((first.copy(), first), cases, strict=True):
        history.read([*prompt, *case.output])
        assert set(history.banned()) == banned(case)
        assert dict(zip(history.output.tokens.tolist(), history.output.counts.tolist(), strict=True)) == Counter(
            case.output
        )


def test_copies_of_an_empty_history_share_nothing():
    first = Ngrams(2)
    second = first.copy()
    first.add([1, 2, 1])
    second.add([1, 3, 1])
    assert (first.banned(), second.banned()) == ([2], [3])


def test_a_text_that_repeats_itself_costs_no_more_than_another():
    """Each of its runs has ended a hundred thousand times before: comparing or copying them all would take minutes."""
    start, ngrams = process_time(), Ngrams(50_000)
    ngrams.add([7] * 100_000)
    assert ngrams.banned() == [7]
    ngrams = Ngrams(2)
    for _ in range(2):
        ngrams.add([7] * 50_000)
    assert ngrams.banned() == [7]
    assert process_time() - start < 2


def test_counts_grow_beyond_their_first_room():
    counts = Counts()
    for token in [*range(1000), *range(500)]:
        counts.add([token])
    assert counts.tokens.tolist() == list(range(1000))
    assert counts.counts.tolist() == [2] * 500 + [1] * 500


def test_a_matcher_is_given_the_output_alone_and_a_copy_has_its_own():
    history = History.of(Case(prompt=(1, 2, 3)).request(), RecordingMatcher())
    for tokens in ([1, 2], [1, 2, 3], [1, 2, 3, 7], [1, 2, 3, 7, 8, 9]):
        history.read(tokens)
    copy = history.copy()
    copy.read([1, 2, 3, 7, 8, 9, 4])
    assert (history.matcher.pushed, copy.matcher.pushed) == ([7, 8, 9], [7, 8, 9, 4])


@given(seed=st.integers(0, 2**32), texts=st.lists(st.tuples(TEXT.filter(bool), TEXT), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_edits_of_many_rows_are_those_of_each_token_alone(seed, texts):
    """Bit for bit: penalties are computed in float32, as those they follow."""
    random = np.random.default_rng(seed)
    rows = random.normal(0, 3, (len(texts) + 2, VOCAB)).astype(np.float32)
    cases = [
        Case(
            Controls(
                repetition_penalty=random.choice([1.0, 0.5, 1.7]),
                frequency_penalty=random.choice([0.0, -0.3, 1.1]),
                presence_penalty=random.choice([0.0, 0.4]),
                no_repeat_ngram=int(random.integers(1, 4)),
                bad_words=((5,), (0, 1), (2, 2, 2)),
                min_tokens=int(random.integers(0, 9)),
            ),
            tuple(prompt),
            tuple(output),
            (3, 4),
        )
        for prompt, output in texts
    ]
    expected = rows.copy()
    for i, case in enumerate(cases):
        expected[i + 1] = edited(rows[i + 1], case)
    Edits.of([case.draw(i + 1) for i, case in enumerate(cases)]).apply(Rows(FINDER, rows))
    assert (rows == expected).all()
