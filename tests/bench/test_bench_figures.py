"""The arithmetic and the plumbing of the measurements, without a model and without peers."""

from __future__ import annotations

import sys

import pytest
from bench.client import flood
from bench.environments import pinned_version
from bench.figures import Pairs, alternate, percentile
from bench.report import table
from bench.wire import Child, ChildError, Job
from bench.workload import mixed_jobs, prompt

from bench import http_load

ECHO = "from bench.wire import answer_all; answer_all(lambda asked: print('noise') or asked['value'])"


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def test_the_ratio_is_the_median_over_pairs_not_the_ratio_of_medians() -> None:
    pairs = Pairs(ours=[10.0, 2.0, 30.0], peer=[5.0, 1.0, 3.0])

    assert pairs.ratio == 2.0
    assert pairs.spread == (2.0, 10.0)


def test_each_side_goes_first_every_other_time() -> None:
    order: list[str] = []

    def side(name: str, number: int) -> float:
        order.append(f"{name}{number}")
        return number

    assert alternate(2, lambda n: side("a", n), lambda n: side("b", n)) == Pairs([0, 1], [0, 1])
    assert order == ["a0", "b0", "b1", "a1"]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_values_that_occurred(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_prompts_have_the_asked_length_and_differ() -> None:
    prompts = [prompt(letters, seed, 64) for seed in range(20)]

    assert {len(one) for one in prompts} == {64}
    assert len(set(map(tuple, prompts))) == 20


def test_mixed_jobs_are_the_same_each_time_and_half_of_them_sampled() -> None:
    jobs = mixed_jobs(letters, 16, seed=3)

    assert jobs == mixed_jobs(letters, 16, seed=3)
    assert sum(job.temperature > 0 for job in jobs) == 8


def test_a_child_answers_what_it_is_asked_whatever_else_is_printed() -> None:
    with Child("echo", [sys.executable, "-c", ECHO]) as child:
        assert child.ask("echo", value=[1, "two"]) == [1, "two"]
        with pytest.raises(ChildError, match="echo: wrong: KeyError: 'value'"):
            child.ask("wrong")


def test_a_child_that_ends_is_named() -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    with Child("short", command) as child, pytest.raises(ChildError, match="short ended"):
        child.ask("anything")


def test_the_load_generator_reads_every_stream_to_its_end() -> None:
    with flood() as url:
        done = http_load.run(http_load.ours(url), [Job([1, 2], 5), Job([3], 70)], concurrency=2)

    assert [outcome.tokens for outcome in done.outcomes] == [5, 70]
    assert done.outcomes[0].output == [1000, 1001, 1002, 1003, 1004]


@pytest.mark.parametrize("peer", ["xllamacpp", "openai", "friendli"])
def test_every_peer_is_pinned(peer: str) -> None:
    assert pinned_version(peer)
