"""Whose turn it is: never more rows than there is room for, equal parts for those that want more, nobody starves."""

from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overload_kit import Clock

from friendli_endpoint.server.turn_order import TurnOrder


def order_of(room):
    clock = Clock()
    return TurnOrder(room, clock), clock


def start(order):
    """The teams of those that start now."""
    return "".join(ticket.team for ticket in order.start())


def test_who_comes_first_starts_first():
    order, _ = order_of(3)
    first, *_ = [order.add(team, 1) for team in "abcd"]
    assert start(order) == "abc"
    order.remove(first)
    assert start(order) == "d"


def test_within_a_team_it_goes_by_arrival():
    order, _ = order_of(1)
    tickets = [order.add("a", 1) for _ in range(5)]
    for ticket in tickets:
        assert list(order.start()) == [ticket]
        order.remove(ticket)


def test_the_team_with_the_fewest_rows_running_is_next():
    order, _ = order_of(8)
    for _ in range(20):
        order.add("a", 1)
    for _ in range(20):
        order.add("b", 2)
    started = Counter()
    for ticket in order.start():
        started[ticket.team] += ticket.rows
    assert started == {"a": 4, "b": 4}


def test_among_equals_it_is_the_turn_of_who_has_waited_longest_since_its_last():
    order, _ = order_of(1)
    for team in "aabbc":
        order.add(team, 1)
    turns = ""
    while order.waiting:
        (ticket,) = order.start()
        turns += ticket.team
        order.remove(ticket)
    assert turns == "abcab"


def test_who_is_next_is_passed_by_nobody_that_needs_less():
    order, _ = order_of(4)
    running = [order.add("a", 1) for _ in range(4)]
    assert start(order) == "aaaa"
    order.add("b", 3)
    order.add("c", 1)
    order.remove(running[0])
    order.remove(running[1])
    assert start(order) == ""
    order.remove(running[2])
    assert start(order) == "b"
    order.remove(running[3])
    assert start(order) == "c"


def test_what_is_larger_than_everything_runs_alone():
    order, _ = order_of(4)
    small = order.add("a", 1)
    assert start(order) == "a"
    large = order.add("b", 9)
    assert start(order) == ""
    order.remove(small)
    assert start(order) == "b"
    order.add("a", 1)
    assert start(order) == ""
    order.remove(large)
    assert start(order) == "a"


def test_who_leaves_while_waiting_changes_nothing_for_the_others():
    order, _ = order_of(1)
    first, second, third = [order.add("a", 1) for _ in range(3)]
    assert start(order) == "a"
    order.remove(second)
    assert order.waiting == 1
    order.remove(first)
    assert list(order.start()) == [third]
    order.remove(third)
    assert order.running_rows == 0
    assert not order._teams


def test_a_team_is_passed_by_no_more_rows_than_there_is_room_for_however_few_each_of_the_others_runs():
    order, _ = order_of(10)
    order.add("a", 1)
    running = deque(order.add(f"name-{number}", 1) for number in range(9))
    assert len(list(order.start())) == 10
    mine, passed = order.add("a", 1), 0
    while not mine.running and passed < 100:
        running.append(order.add(f"fresh-{passed}", 1))
        order.remove(running.popleft())
        passed += len(list(order.start()))
    assert passed == 10 + 1


def measured(every=0.5, rows=2, *, room=8, times=40):
    """An order that gives back so many rows so often, and has nothing to do."""
    order, clock = order_of(room)
    for _ in range(times):
        ticket = order.add("a", rows)
        start(order)
        clock.now += every
        order.remove(ticket)
    return order


def test_nothing_is_foretold_before_enough_have_left():
    order = measured(times=15)
    order.add("a", 8)
    start(order)
    assert order.expected_wait("a", 1) is None


def test_where_there_is_room_the_wait_is_none():
    order, _ = order_of(8)
    assert order.expected_wait("a", 8) == 0.0


def test_the_wait_is_for_the_rows_ahead_at_the_pace_of_late():
    order = measured()
    for _ in range(6):
        order.add("a", 4)
    start(order)
    assert order.expected_wait("a", 4) == pytest.approx((4 * 4 + 4) / 4, rel=0.05)


def test_a_team_with_nobody_waiting_does_not_wait_for_the_backlog_of_another():
    order = measured()
    for _ in range(60):
        order.add("a", 4)
    start(order)
    assert order.expected_wait("b", 2) == pytest.approx((2 + 2) / 4, rel=0.05)
    assert order.expected_wait("a", 2) > 50


@given(
    room=st.integers(1, 12),
    acts=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 15), st.integers(0, 40)), max_size=200),
)
def test_there_are_never_more_rows_than_room_nobody_waits_for_nothing_and_nothing_is_lost(room, acts):
    order, clock = order_of(room)
    here = []
    for team, rows, which in acts:
        clock.now += 1
        if rows:
            here.append(order.add(team, rows))
        elif here:
            order.remove(here.pop(which % len(here)))
        list(order.start())
        running = [ticket for ticket in here if ticket.running]
        assert order.running_rows == sum(ticket.rows for ticket in running)
        assert order.running_rows <= room or len(running) == 1
        assert order.waiting == len(here) - len(running)
        assert running or not here
    for _ in range(len(here)):
        running = next(ticket for ticket in here if ticket.running)
        order.remove(running)
        here.remove(running)
        list(order.start())
    assert not here
    assert not order._teams


@given(
    seeds=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=1, max_size=60),
    room=st.integers(2, 12),
)
def test_whatever_comes_behind_it_each_request_starts_before_many_rows_have_passed_it(seeds, room):
    order, _ = order_of(room)
    mine, running, started = order.add("mine", room), deque(), 0
    for round_number in range(20 * room):
        team, rows = seeds[round_number % len(seeds)]
        order.add(f"{team}{round_number % 7}", rows)
        for ticket in order.start():
            running.append(ticket)
            started += ticket.rows
        if mine.running:
            break
        if running:
            order.remove(running.popleft())
    assert mine.running
    assert started <= 2 * room


@pytest.mark.parametrize("others", [1, 3])
@pytest.mark.parametrize("rows", [1, 3])
def test_backlogged_teams_get_equal_parts_of_the_rows_however_much_one_asks_for(others, rows):
    order, _ = order_of(64)
    teams = ["flood", *(f"team-{number}" for number in range(others))]
    running, done = deque(), Counter()
    for _ in range(3_000):
        for team in teams:
            for _ in range(10 if team == "flood" else 1):
                if team == "flood" or not order._teams.get(team) or len(order._teams[team].waiting) < 9:
                    order.add(team, rows if team == "flood" else 1)
        running.extend(order.start())
        ticket = running.popleft()
        done[ticket.team] += ticket.rows
        order.remove(ticket)
    assert min(done.values()) >= 0.9 * done.total() / len(teams)
