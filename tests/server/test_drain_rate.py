"""What has left lately foretells how long it takes, on a clock that the tests turn."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from overload_kit import Clock

from friendli_endpoint.server.drain_rate import DrainRate


def watched(*, enough=1):
    clock = Clock()
    drain = DrainRate(clock, enough=enough)
    drain.watch(busy=True)
    return drain, clock


def leave(drain, clock, *, times, every, amount=1.0):
    for _ in range(times):
        clock.now += every
        drain.count(amount)


def test_nothing_is_told_before_anybody_has_left():
    drain, clock = watched()
    assert drain.seconds_for(1) is None
    clock.now += 100
    assert drain.seconds_for(1) is None


def test_nothing_is_told_of_a_burst_in_no_time():
    drain, _ = watched()
    for _ in range(100):
        drain.count()
    assert drain.seconds_for(1) is None


def test_nothing_is_told_before_enough_have_left():
    drain, clock = watched(enough=16)
    leave(drain, clock, times=15, every=0.1)
    assert drain.seconds_for(1) is None
    leave(drain, clock, times=1, every=0.1)
    assert drain.seconds_for(1) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("every", [0.001, 0.1, 3.0, 60.0, 1_000.0])
def test_at_a_steady_pace_it_foretells_that_pace(every):
    drain, clock = watched()
    leave(drain, clock, times=20_000 if every < 0.1 else 200, every=every)
    assert drain.seconds_for(10) == pytest.approx(10 * every, rel=0.1)


def test_a_quiet_hour_changes_nothing():
    drain, clock = watched()
    leave(drain, clock, times=50, every=0.2)
    before = drain.seconds_for(1)
    drain.watch(busy=False)
    clock.now += 3_600
    drain.watch(busy=True)
    assert drain.seconds_for(1) == before


def test_a_new_pace_is_known_after_a_few_half_lives():
    drain, clock = watched()
    leave(drain, clock, times=1_000, every=0.02)
    leave(drain, clock, times=100, every=0.2)
    assert drain.seconds_for(1) == pytest.approx(0.2, rel=0.4)


def test_while_nobody_leaves_the_wait_becomes_longer():
    drain, clock = watched()
    leave(drain, clock, times=100, every=0.1)
    waits = []
    for _ in range(100):
        clock.now += 10
        waits.append(drain.seconds_for(1))
    assert waits == sorted(waits)
    assert waits[-1] > 20


def test_a_clock_that_leaps_breaks_nothing():
    drain, clock = watched()
    leave(drain, clock, times=100, every=0.1)
    clock.now += 1e9
    assert drain.seconds_for(1) > 1e5
    leave(drain, clock, times=100, every=0.1)
    assert drain.seconds_for(1) > 0


def test_what_is_given_back_at_once_counts_by_its_size():
    drain, clock = watched()
    leave(drain, clock, times=100, every=0.5, amount=8)
    assert drain.seconds_for(16) == pytest.approx(1.0, rel=0.1)


@given(
    steps=st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from(["leave", "busy", "idle"])), max_size=60),
    amounts=st.lists(st.floats(0.1, 1e3), min_size=2, max_size=5),
)
@example(steps=[(10.0, "leave"), (40_646.0, "busy")], amounts=[1.0, 1.0])
def test_more_never_takes_less_time_whatever_has_happened(steps, amounts):
    drain, clock = watched()
    for seconds, what in steps:
        clock.now += seconds
        if what == "leave":
            drain.count()
        else:
            drain.watch(busy=what == "busy")
    waits = [drain.seconds_for(amount) for amount in sorted(amounts)]
    if None in waits:
        assert set(waits) == {None}
    else:
        assert waits == sorted(waits)
        assert 0 < waits[0] <= waits[-1] < float("inf")
