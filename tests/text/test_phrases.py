"""Many phrases cost what one costs: the automaton's steps hang on the text alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.text.phrases import Automaton


class _Counted(dict[int, int]):
    lookups = 0

    def get(self, *key):
        self.lookups += 1
        return super().get(*key)


@pytest.mark.parametrize("number", [1, 8, 64, 512])
@pytest.mark.parametrize("letters", ["ab", "abcdefgh"])
def test_a_scan_takes_at_most_two_steps_per_code_however_many_phrases_there_are(number: int, letters: str) -> None:
    choose = random.Random(number)  # noqa: S311 - the same every time
    automaton = Automaton([[*map(ord, choose.choices(letters, k=40)), 0] for _ in range(number)])
    counted = automaton._edges = _Counted(automaton._edges)
    _, match = automaton.scan(0, map(ord, choose.choices(letters, k=5000)))
    assert match is None
    assert 5000 <= counted.lookups <= 2 * 5000


CODES = st.lists(st.sampled_from([0, 1, 2**31 - 1]), max_size=30)


@given(codes=CODES, sequences=st.lists(CODES.map(lambda codes: tuple(codes[:4])).filter(bool), max_size=5))
def test_the_first_end_is_found_and_there_the_longest_sequence(
    codes: list[int], sequences: list[tuple[int, ...]]
) -> None:
    _, match = Automaton(sequences).scan(0, codes)
    for end in range(1, len(codes) + 1):
        lengths = [len(sequence) for sequence in sequences if tuple(codes[:end])[-len(sequence) :] == sequence]
        if lengths:
            assert match == (end, max(lengths))
            return
    assert match is None
