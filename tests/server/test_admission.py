"""Places are counted before any work: what is refused, why, when to come back, and that nothing is lost."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overload_kit import Clock

from friendli_endpoint.config import TeamSettings
from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.admission import Admission


def admission_of(limit, **limits):
    clock = Clock()
    return Admission(limit, lambda _: TeamSettings(**limits), clock=clock), clock


def refusal(admission, team="a"):
    with pytest.raises(EngineFullError) as caught:
        admission.enter(team)
    return caught.value


def fill(admission, number, team="a", *, begun=0):
    """So many places, of which `begun` have begun."""
    places = [admission.enter(team) for _ in range(number)]
    for place in places[:begun]:
        place.begin()
    return places


def pace(admission, clock, every, *, times=200):
    """The server gives a place back so often, whatever else it holds."""
    for _ in range(times):
        with admission.enter("a"):
            clock.now += every


def test_a_full_server_says_so_and_that_it_is_worth_trying_soon():
    admission, _ = admission_of(3)
    fill(admission, 3)
    error = refusal(admission)
    assert (error.reason, error.retry_after) == ("full", 1.0)
    assert "All 3 places are taken" in str(error)


def test_a_place_that_is_given_back_is_there_for_the_next_one():
    admission, _ = admission_of(1)
    for _ in range(3):
        with admission.enter("a"):
            refusal(admission)
    assert admission.places == 0


def test_leaving_twice_gives_back_one_place():
    admission, _ = admission_of(2)
    first, _ = fill(admission, 2)
    first.leave()
    first.leave()
    admission.enter("a")
    refusal(admission)


def test_a_place_waits_until_the_engine_begins_or_it_is_left():
    admission, _ = admission_of(5)
    first, second, third = fill(admission, 3)
    first.begin()
    first.begin()
    second.leave()
    second.begin()
    assert (admission.places, admission.waiting) == (2, 1)
    third.leave()
    first.leave()
    assert (admission.places, admission.waiting) == (0, 0)


@pytest.mark.parametrize(("waiting", "seconds"), [(0, 1.0), (19, 4.0), (39, 8.0), (1_000, 60.0)])
def test_who_comes_back_finds_those_gone_that_waited(waiting, seconds):
    admission, clock = admission_of(waiting + 2)
    fill(admission, waiting)
    fill(admission, 1, begun=1)
    pace(admission, clock, 0.2)
    fill(admission, 1, begun=1)
    assert refusal(admission).retry_after == pytest.approx(seconds, rel=0.05)


def test_the_expected_wait_is_the_time_until_those_that_wait_have_begun():
    admission, clock = admission_of(100)
    assert admission.expected_wait() == 0.0
    fill(admission, 20)
    assert admission.expected_wait() == 0.0
    pace(admission, clock, 0.5)
    assert admission.expected_wait() == pytest.approx(20 * 0.5, rel=0.05)


def test_a_team_at_its_share_is_told_of_its_own_part_of_what_is_given_back():
    admission, clock = admission_of(40)
    fill(admission, 20, "b")
    fill(admission, 19, "a", begun=10)
    pace(admission, clock, 0.2)
    fill(admission, 1, "a")
    error = refusal(admission)
    assert (error.reason, error.retry_after) == ("team share", pytest.approx((10 + 1) * 0.2 * 2, rel=0.05))
    assert "its share of the 40 places" in str(error)


def test_a_team_with_as_many_requests_as_it_may_have_is_told_so():
    admission, _ = admission_of(10, max_requests=2)
    places = fill(admission, 2)
    assert refusal(admission).reason == "team requests"
    fill(admission, 2, "b")
    places[0].leave()
    admission.enter("a")


def test_the_minute_of_a_team_ends_when_it_is_told_so():
    admission, clock = admission_of(10, requests_per_minute=2)
    for place in fill(admission, 2):
        place.leave()
    error = refusal(admission)
    assert (error.reason, error.retry_after) == ("team rate", pytest.approx(30.0))
    clock.now += error.retry_after
    admission.enter("a")


def test_tokens_are_debited_while_they_are_used_and_after_the_place_is_left():
    admission, clock = admission_of(10, tokens_per_minute=600)
    with admission.enter("a") as place:
        place.used(590)
        admission.enter("a").leave()
    place.used(100)
    error = refusal(admission)
    assert (error.reason, error.retry_after) == ("team tokens", pytest.approx(9.1))
    clock.now += error.retry_after
    admission.enter("a")


def test_a_refusal_debits_nothing():
    admission, _ = admission_of(1, requests_per_minute=2)
    with admission.enter("a"):
        for _ in range(10):
            assert refusal(admission).reason == "full"
    admission.enter("a")


def test_a_team_that_its_own_limits_refuse_keeps_no_room_from_others():
    clock = Clock()
    limits = {"b": TeamSettings(requests_per_minute=1)}
    admission = Admission(10, lambda name: limits.get(name, TeamSettings()), clock=clock)
    admission.enter("b").leave()
    clock.now += 31
    assert refusal(admission, "b").reason == "team rate"
    fill(admission, 10, "a")


def test_refusals_are_counted_by_reason():
    admission, _ = admission_of(2, max_requests=2, requests_per_minute=3)
    places = fill(admission, 2)
    refusal(admission)
    refusal(admission, "b")
    places[0].leave()
    admission.enter("b")
    refusal(admission, "b")
    assert admission.refusals == {"team requests": 1, "full": 1, "team share": 1}


def test_teams_that_have_gone_are_not_remembered():
    admission, _ = admission_of(4)
    for number in range(1_000):
        with admission.enter(f"name-{number}"):
            pass
    assert not admission._waiting
    assert len(admission._shares._teams) <= 4


def test_the_server_is_idle_when_the_last_place_is_left():
    async def main():
        admission, _ = admission_of(2)
        await admission.idle()
        first, second = fill(admission, 2)
        idle = asyncio.create_task(admission.idle())
        first.leave()
        await asyncio.sleep(0)
        assert not idle.done()
        second.leave()
        await idle

    asyncio.run(main())


@given(pairs=st.tuples(st.integers(0, 200), st.integers(0, 200)), every=st.floats(0.001, 100.0))
def test_the_more_wait_the_later_one_is_told_to_come_back(pairs, every):
    waits = []
    for waiting in sorted(pairs):
        admission, clock = admission_of(201)
        places = fill(admission, 200)
        pace(admission, clock, every, times=20)
        for place in places[waiting:]:
            place.begin()
        fill(admission, 1, begun=1)
        waits.append(refusal(admission).retry_after)
    assert 1.0 <= waits[0] <= waits[1] <= 60.0


ACTS = st.sampled_from(["enter", "begin", "leave", "used"])


@given(
    limit=st.integers(1, 8),
    acts=st.lists(st.tuples(ACTS, st.sampled_from("abc"), st.integers(0, 7), st.floats(0, 10)), max_size=150),
    limits=st.builds(
        TeamSettings,
        max_requests=st.none() | st.integers(1, 5),
        requests_per_minute=st.none() | st.integers(1, 100),
        tokens_per_minute=st.none() | st.integers(1, 100),
    ),
)
def test_whatever_happens_no_place_is_lost_and_every_refusal_has_a_time_and_a_reason(limit, acts, limits):
    clock = Clock()
    admission = Admission(limit, lambda _: limits, clock=clock)
    places, errors = [], []
    for act, team, which, seconds in acts:
        clock.now += seconds
        if act == "enter":
            try:
                places.append((admission.enter(team), False))
            except EngineFullError as error:
                errors.append(error)
        elif places:
            place, begun = places.pop(which % len(places))
            match act:
                case "begin":
                    place.begin()
                    places.append((place, True))
                case "used":
                    place.used(which)
                    places.append((place, begun))
                case "leave":
                    place.leave()
        assert admission.places == len(places) <= limit
        assert admission.waiting == sum(not begun for _, begun in places)
    assert admission.refusals == Counter(error.reason for error in errors)
    for error in errors:
        assert error.retry_after > 0
        assert error.reason in ("team rate", "team tokens") or 1 <= error.retry_after <= 60
