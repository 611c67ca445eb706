"""Counter-based random numbers."""

import numpy as np
import pytest

from friendli_endpoint.sampling.random import philox, uniforms

# Known answers published with Random123, the authors' reference implementation: counter, key, output.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return np.array([[int(word, 16) for word in text.split()]], np.uint64)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, answer):
    assert philox(words(counter), words(key)).tolist() == words(answer).tolist()


def test_a_number_depends_on_its_seed_and_position_alone():
    seeds, positions = np.arange(50, dtype=np.uint64) * 2**57 // 10, np.arange(50, dtype=np.uint64)
    together = uniforms(seeds, positions)
    alone = [uniforms(seeds[i : i + 1], positions[i : i + 1])[0].tolist() for i in range(50)]
    assert together.tolist() == alone
    assert len({number for pair in alone for number in pair}) == 100


def test_numbers_are_uniform_over_positions_and_over_seeds():
    many = np.arange(100_000, dtype=np.uint64)
    one = np.zeros_like(many)
    for numbers in (*uniforms(one, many).T, *uniforms(many, one).T):
        counts, _ = np.histogram(numbers, bins=100, range=(0, 1))
        assert ((counts - 1000) ** 2 / 1000).sum() < 150  # chi-square, 99 degrees of freedom: p = 0.0007
        assert numbers.min() >= 0
        assert numbers.max() < 1


def test_the_two_numbers_of_a_draw_are_independent():
    many = np.arange(100_000, dtype=np.uint64)
    first, second = uniforms(many, np.zeros_like(many)).T
    counts, _, _ = np.histogram2d(first, second, bins=10, range=[(0, 1), (0, 1)])
    assert ((counts - 1000) ** 2 / 1000).sum() < 150  # chi-square, 99 degrees of freedom: p = 0.0007
