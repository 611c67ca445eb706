"""How places are divided: no place lost, none empty that somebody needs, nobody kept out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.server.shares import Shares


def ask(shares, team, *, times=1, now=0.0):
    """How many places the team gets when it asks so many times."""
    got = 0
    for _ in range(times):
        if shares.ask(team, now):
            shares.take(team)
            got += 1
    return got


def test_one_team_alone_may_take_all():
    assert ask(Shares(10), "a", times=20) == 10


def test_a_team_that_comes_into_a_full_house_gets_every_place_that_is_given_back_up_to_its_share():
    shares = Shares(10)
    ask(shares, "flood", times=20)
    assert ask(shares, "b") == 0
    for _ in range(5):
        shares.give_back("flood")
        assert ask(shares, "flood", times=20) == 0
        assert ask(shares, "b", times=20) == 1
    shares.give_back("flood")
    assert ask(shares, "b", times=20) == 0
    assert ask(shares, "flood", times=20) == 1


def test_for_a_team_that_was_refused_its_whole_share_is_kept():
    shares = Shares(10)
    ask(shares, "flood", times=20)
    ask(shares, "b")
    for _ in range(5):
        shares.give_back("flood")
    assert ask(shares, "flood", times=20) == 0
    assert ask(shares, "b", times=20) == 5


def test_the_place_that_cannot_be_divided_goes_to_who_asks_first():
    shares = Shares(5)
    ask(shares, "a")
    assert (ask(shares, "b", times=9), ask(shares, "a", times=9)) == (3, 1)


def test_what_a_team_has_no_use_for_is_the_others_but_for_one_place_more():
    shares = Shares(100)
    for team in ("b", "c", "d"):
        assert ask(shares, team, times=2) == 2
    assert ask(shares, "a", times=200) == 100 - 3 * 3


def test_a_team_whose_requests_come_in_waves_finds_room_for_the_next_one():
    shares = Shares(100)
    ask(shares, "b", times=40)
    for _ in range(40):
        shares.give_back("b")
    ask(shares, "a", times=200, now=10.0)
    assert ask(shares, "b", times=40, now=20.0) == 40


def test_what_a_team_needed_long_ago_is_not_kept_for_it():
    shares = Shares(100)
    ask(shares, "b", times=40)
    for _ in range(40):
        shares.give_back("b")
    shares.ask("b", 31.0)
    assert ask(shares, "a", times=200, now=31.0) == 98


def test_a_team_that_has_gone_leaves_its_share_after_half_a_minute():
    shares = Shares(10)
    ask(shares, "a", times=10)
    ask(shares, "b")
    shares.give_back("a")
    assert ask(shares, "a", now=30.0) == 0
    assert ask(shares, "a", now=30.1) == 1


def test_a_team_that_holds_a_place_is_active_however_long_ago_it_asked():
    shares = Shares(10)
    ask(shares, "b")
    ask(shares, "a", now=1_000.0)
    assert shares.share == 5


def test_names_without_number_are_not_remembered_and_keep_nobody_out():
    shares = Shares(8)
    ask(shares, "a", times=8)
    for number in range(10_000):
        ask(shares, f"name-{number}", now=number * 1e-6)
    assert len(shares._teams) <= 16
    assert len(shares._recent) <= 8
    shares.give_back("a")
    assert ask(shares, "b", now=0.01) == 1


@given(
    limit=st.integers(1, 12),
    steps=st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.floats(0, 20)), max_size=200),
)
def test_places_are_neither_lost_nor_made_and_who_is_below_its_share_gets_any_free_one(limit, steps):
    shares, held, now = Shares(limit), dict.fromkeys("abcde", 0), 0.0
    for team, leaves, seconds in steps:
        now += seconds
        if leaves and held[team]:
            shares.give_back(team)
            held[team] -= 1
        elif shares.ask(team, now):
            shares.take(team)
            held[team] += 1
        else:
            assert sum(held.values()) == limit or held[team] >= shares.share
        assert shares.taken == sum(held.values()) <= limit
        assert held == {name: shares.held(name) for name in held}
    assert len(shares._teams) <= 2 * limit


@pytest.mark.parametrize("others", [1, 4, 9])
def test_with_all_teams_asking_all_the_time_each_holds_its_share(others):
    shares = Shares(100)
    teams = ["flood", *(f"team-{n}" for n in range(others))]
    ask(shares, "flood", times=100)
    for _ in range(300):
        for team in teams:
            if shares.held(team):
                shares.give_back(team)
        for team in teams:
            ask(shares, team, times=50 if team == "flood" else 2)
    assert {shares.held(team) for team in teams} == {100 // len(teams)}
