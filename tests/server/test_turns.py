"""Turns as tasks see them: waiting, leaving at any moment, giving up, and being told that it takes too long."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overload_kit import Clock

from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.turns import Turns


class Holder:
    """A task that waits for a turn and holds it until it is let go."""

    def __init__(self, turns, team="a", rows=1, **options):
        self.has_it = False
        self._over = asyncio.Event()
        self.task = asyncio.create_task(self._hold(turns.turn(team, rows, **options)))

    async def _hold(self, turn):
        async with turn:
            self.has_it = True
            await self._over.wait()
        self.has_it = False

    def let_go_soon(self):
        self._over.set()

    async def let_go(self):
        self._over.set()
        await self.task

    async def cancel(self):
        self.task.cancel()
        await asyncio.wait({self.task})


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def full(**options):
    """Turns of one row that somebody has, and who has it."""
    turns = Turns(1, ahead=0, **options)
    holder = Holder(turns)
    await settle()
    yield turns, holder
    await holder.let_go()
    await settle()
    assert (turns.waiting, turns.running_rows) == (0, 0)
    assert not turns._starts


def test_where_there_is_room_a_turn_takes_no_time():
    async def main():
        turns = Turns(4)
        async with turns.turn("a", 2):
            assert (turns.waiting, turns.running_rows) == (0, 2)
        assert turns.running_rows == 0

    asyncio.run(main())


@pytest.mark.parametrize(("rows", "room"), [(1, 5), (8, 12), (128, 160)])
def test_the_engine_gets_a_quarter_more_than_it_runs_and_at_least_four(rows, room):
    async def main():
        turns = Turns(rows)
        holders = [Holder(turns) for _ in range(room + 5)]
        await settle()
        assert (turns.running_rows, turns.waiting) == (room, 5)
        for holder in holders:
            await holder.let_go()

    asyncio.run(main())


def test_a_turn_that_is_over_is_the_next_ones():
    async def main():
        async with full() as (turns, first):
            second = Holder(turns, "b")
            await settle()
            assert turns.waiting == 1
            await first.let_go()
            await settle()
            assert second.has_it
            await second.let_go()

    asyncio.run(main())


def test_a_turn_ends_with_an_error_too():
    async def main():
        turns = Turns(1, ahead=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with turns.turn("a", 1):
                    raise ZeroDivisionError
        assert turns.running_rows == 0

    asyncio.run(main())


def test_who_leaves_while_waiting_takes_nothing_along():
    async def main():
        async with full() as (turns, first):
            second, third = Holder(turns), Holder(turns)
            await settle()
            await second.cancel()
            assert turns.waiting == 1
            await first.let_go()
            await settle()
            assert third.has_it
            await third.let_go()

    asyncio.run(main())


@pytest.mark.parametrize("loops", [0, 1], ids=["as it is chosen", "before it hears of it"])
def test_who_leaves_at_the_moment_of_being_chosen_passes_the_turn_on(loops):
    async def main():
        async with full() as (turns, first):
            second, third = Holder(turns), Holder(turns)
            await settle()
            first.let_go_soon()
            for _ in range(loops):
                await asyncio.sleep(0)
            second.task.cancel()
            await settle()
            assert second.task.cancelled()
            assert not second.has_it
            assert third.has_it
            await third.let_go()

    asyncio.run(main())


def test_who_waits_too_long_is_told_so_and_others_go_on():
    async def main():
        async with full(queue_seconds=0.01) as (turns, _):
            with pytest.raises(EngineFullError, match=r"within 0\.01 s") as caught:
                async with turns.turn("b", 1):
                    pytest.fail("it was somebody else's turn")
            assert caught.value.reason == "queue"
            assert 1 <= caught.value.retry_after <= 60
            assert turns.waiting == 0

    asyncio.run(main())


def test_work_may_take_longer_than_the_longest_wait():
    async def main():
        turns = Turns(1, queue_seconds=0.001)
        async with turns.turn("a", 1):
            await asyncio.sleep(0.01)

    asyncio.run(main())


async def _measure(turns, clock, *, every=1.0, times=20):
    for _ in range(times):
        async with turns.turn("a", 1):
            clock.now += every


def test_a_request_whose_time_is_over_before_its_turn_is_refused_at_once():
    async def main():
        clock = Clock()
        turns = Turns(1, ahead=0, clock=clock)
        await _measure(turns, clock)
        holders = [Holder(turns) for _ in range(10)]
        await settle()
        with pytest.raises(EngineFullError) as caught:
            async with turns.turn("a", 1, patience=4.0):
                pytest.fail("it cannot be its turn")
        assert caught.value.reason == "patience"
        assert caught.value.retry_after == pytest.approx(10 - 4, rel=0.2)
        patient = Holder(turns, patience=20.0)
        await settle()
        assert turns.waiting == 10
        for holder in (*holders, patient):
            await holder.let_go()

    asyncio.run(main())


def test_while_too_little_is_known_nobody_is_refused_for_its_patience():
    async def main():
        async with full(clock=Clock()) as (turns, first):
            second = Holder(turns, patience=0.0)
            await settle()
            assert turns.waiting == 1
            await first.let_go()
            await second.let_go()

    asyncio.run(main())


ACTS = st.tuples(st.sampled_from(["come", "come", "let go", "cancel"]), st.sampled_from("abc"), st.integers(1, 6))


@settings(deadline=None)
@given(acts=st.lists(st.tuples(ACTS, st.booleans()), max_size=60))
def test_whoever_comes_ends_or_is_cancelled_at_any_moment_no_turn_is_lost(acts):
    async def main():
        turns, here = Turns(4, ahead=1), []
        for (act, team, rows), yields in acts:
            if act == "come":
                here.append(Holder(turns, team, rows))
            elif here:
                holder = here.pop(rows % len(here))
                holder.let_go_soon()
                if act == "cancel":
                    holder.task.cancel()
            if yields:
                await asyncio.sleep(0)
            assert turns.running_rows <= 5 or sum(holder.has_it for holder in here) <= 1
        while here:
            await settle()
            having = [holder for holder in here if holder.has_it]
            assert having
            for holder in having:
                await holder.let_go()
                here.remove(holder)
        await settle()
        assert (turns.waiting, turns.running_rows) == (0, 0)
        assert not turns._starts

    asyncio.run(main())
