"""More is asked than can be done, in virtual time: as much is done as ever, fairly, and whoever is let in is served."""

import pytest
from overload_kit import Load, World

from friendli_endpoint.config import TeamSettings

SECONDS = 60.0
WARM = 15.0


def check_nothing_is_left(world):
    assert all(asked.ended is not None for asked in world.admitted)
    assert (world.admission.places, world.admission.waiting) == (0, 0)
    assert (world.order.waiting, world.order.running_rows) == (0, 0)


def goodput(world):
    """Rows that end in a second, of the time in which the server is full."""
    return world.done(WARM, SECONDS).total() / (SECONDS - WARM)


@pytest.mark.parametrize(("rows", "returns"), [(1, False), (4, False), (4, True)])
def test_three_times_what_can_be_done_leaves_what_is_done_at_its_peak(rows, returns):
    world = World()
    world.run([Load("a", 3 * world.rows / rows, rows, returns=returns)], SECONDS)
    assert goodput(world) >= 0.95 * world.rows
    check_nothing_is_left(world)


def test_requests_of_all_sizes_leave_few_rows_empty():
    world = World()
    world.run([Load("a", 40), Load("b", 10, 4), Load("c", 2, 16)], SECONDS)
    assert goodput(world) >= 0.85 * world.rows
    check_nothing_is_left(world)


def test_every_refusal_says_when_to_come_back_within_a_minute():
    world = World()
    world.run([Load("a", 96)], SECONDS)
    assert len(world.refused) > 1_000
    assert all(1 <= error.retry_after <= 60 for _, _, error in world.refused)


def test_when_a_refused_request_is_told_to_come_back_those_that_waited_before_it_have_begun():
    world = World()
    world.run([Load("a", 96)], SECONDS)
    for now, _, error in world.refused[::50]:
        last = max(asked.began for asked in world.admitted if asked.came < now)
        if now > 1_000_000 + WARM:
            assert last - now <= 1.3 * error.retry_after
            assert error.retry_after <= 1.3 * (last - now)


def test_a_flood_of_ten_times_as_much_leaves_another_team_half_of_the_rows():
    world = World()
    world.run([Load("flood", 480), Load("b", 48)], SECONDS)
    done = world.done(WARM, SECONDS)
    assert done["b"] >= 0.45 * done.total()
    assert done["flood"] >= 0.45 * done.total()
    check_nothing_is_left(world)


def test_a_team_that_needs_little_is_never_refused_beside_a_flood_once_that_knows_of_it():
    world = World()
    world.run([Load("flood", 480), Load("b", 4)], SECONDS)
    assert not [error for now, team, error in world.refused if team == "b" and now > 1_000_010]
    waits = [asked.began - asked.came for asked in world.admitted if asked.team == "b"]
    assert max(waits[40:]) < 1.5
    assert goodput(world) >= 0.95 * world.rows


def test_a_flood_under_ever_new_names_leaves_a_team_its_turn():
    world = World()
    loads = [Load("b", 4), *(Load(f"name-{number}", 2) for number in range(80))]
    world.run(loads, SECONDS)
    mine = [asked for asked in world.admitted if asked.team == "b"]
    assert len(mine) > 20
    assert max(asked.began - asked.came for asked in mine) < 10
    check_nothing_is_left(world)


def test_a_large_request_has_its_turn_among_small_ones_that_never_end():
    world = World()
    world.run([Load("small", 96), Load("large", 0.2, 30)], SECONDS)
    waits = [asked.began - asked.came for asked in world.admitted if asked.team == "large"]
    assert len(waits) > 10
    assert max(waits) < 15
    check_nothing_is_left(world)


def test_a_large_request_has_its_turn_among_small_ones_of_its_own_team_too():
    world = World()
    world.run([Load("a", 96), Load("a", 0.5, 30)], SECONDS)
    assert [asked for asked in world.admitted if asked.rows == 30]
    check_nothing_is_left(world)


def test_a_request_larger_than_everything_runs_alone():
    world = World(limit=20)
    world.run([Load("a", 60), Load("b", 0.1, 500)], SECONDS)
    alone = [asked for asked in world.admitted if asked.rows == 500]
    assert alone
    for large in alone:
        assert not [o for o in world.admitted if o is not large and o.began < large.ended and o.ended > large.began]
    check_nothing_is_left(world)


def test_the_limits_of_a_team_hold_whatever_it_sends():
    limits = TeamSettings(max_requests=5, requests_per_minute=60)
    world = World(teams={"a": limits})
    world.run([Load("a", 50), Load("b", 20)], SECONDS)
    mine = [asked for asked in world.admitted if asked.team == "a"]
    assert len(mine) <= 60 + SECONDS
    assert {error.reason for _, team, error in world.refused if team == "a"} <= {"team requests", "team rate"}
    for asked in mine:
        assert sum(other.came <= asked.came < other.ended for other in mine) <= 5
    assert not [1 for _, team, _ in world.refused if team == "b"]
