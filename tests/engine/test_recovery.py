"""Who is sent to a new child and when, on virtual time: the culprit is found, and nobody else is harmed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.recovery import Recovery


def recovery_of(*names, proven=()):
    """All of them in a child, the proven ones with a token."""
    recovery = Recovery()
    for name in names:
        recovery.arrive(name)
    assert due(recovery) == list(names)
    for name in proven:
        recovery.progress(name)
    return recovery


def suspects_of(*names, others=()):
    """All of them have died twice without a token, but the others had one between; nobody is in the new child."""
    recovery = recovery_of(*names, *others)
    death(recovery)
    assert due(recovery) == [*names, *others]
    progress(recovery, *others)
    death(recovery)
    return recovery


def due(recovery, *, loading=False):
    return recovery.due(loading=loading)


def death(recovery, *, loading=False, now=0.0):
    """Who is convicted of it; then there is a new child, which says something."""
    convicted = recovery.end(loading=loading)
    recovery.begin(now)
    recovery.hear(now)
    return convicted


def progress(recovery, *names, now=0.0):
    for name in names:
        recovery.progress(name)
    recovery.hear(now)


def test_who_arrives_is_sent_at_once_and_only_once():
    recovery = recovery_of("a", "b")
    assert due(recovery) == []


def test_after_one_death_all_go_again_at_once_with_those_that_arrived_meanwhile():
    recovery = recovery_of("a", "b", proven=("a",))
    recovery.end(loading=False)
    recovery.arrive("c")
    recovery.begin(0.0)
    assert due(recovery) == ["a", "b", "c"]


def test_suspects_are_tried_one_at_a_time_the_newest_first_when_all_others_have_settled():
    recovery = suspects_of("b", "d", others=("a", "c"))
    assert due(recovery) == ["a", "c"]
    progress(recovery, "a")
    assert due(recovery) == []
    progress(recovery, "c")
    assert due(recovery) == ["d"]
    assert due(recovery) == []
    progress(recovery, "d")
    assert due(recovery) == ["b"]


def test_a_token_clears_a_suspect():
    recovery = suspects_of("x")
    assert due(recovery) == ["x"]
    progress(recovery, "x")
    recovery.arrive("new")
    assert due(recovery) == ["new"]
    progress(recovery, "new")
    death(recovery)
    assert due(recovery) == ["x", "new"]


def test_the_second_death_during_its_trials_convicts():
    recovery = suspects_of("poison", others=("a",))
    assert due(recovery) == ["a"]
    progress(recovery, "a")
    assert due(recovery) == ["poison"]
    assert death(recovery) == []
    assert due(recovery) == ["poison"]
    assert due(recovery) == []
    assert death(recovery) == ["poison"]
    assert due(recovery) == ["a"]
    assert recovery.held == []


def test_who_has_a_strike_is_tried_again_alone_in_the_child_before_all_others():
    recovery = suspects_of("b", "x", others=("a",))
    assert due(recovery) == ["a"]
    progress(recovery, "a")
    assert due(recovery) == ["x"]
    death(recovery)
    assert due(recovery) == ["x"]
    assert due(recovery) == []
    progress(recovery, "x")
    assert due(recovery) == ["a"]
    progress(recovery, "a")
    assert due(recovery) == ["b"]


def test_trials_wait_for_the_first_word_of_the_child():
    recovery = suspects_of("x")
    for _ in range(5):
        recovery.begin(0.0)
        assert due(recovery) == []
        assert recovery.end(loading=False) == []
    recovery.begin(0.0)
    recovery.hear(0.1)
    assert due(recovery) == ["x"]


def test_who_computes_again_what_it_had_is_not_accused_until_it_has_had_many_excuses():
    recovery = recovery_of("x", proven=("x",))
    for _ in range(8):
        assert death(recovery) == []
        assert due(recovery) == ["x"]
    for convicted in ([], [], ["x"]):
        assert death(recovery) == convicted
        assert due(recovery) == ([] if convicted else ["x"])


def test_who_has_computed_again_what_it_had_may_be_the_cause():
    recovery = recovery_of("x", proven=("x",))
    for convicted in ([], [], [], ["x"]):
        assert death(recovery) == convicted
        due(recovery)
        recovery.resume("x")


def test_a_death_is_no_strike_while_another_one_is_exposed_or_adapters_are_loaded():
    recovery = suspects_of("a", "b")
    for _ in range(5):
        first = due(recovery)
        recovery.hear(1000.0)  # a parole
        assert {*first, *due(recovery)} == {"a", "b"}
        assert death(recovery) == []
    alone = suspects_of("x")
    for _ in range(5):
        assert due(alone) == ["x"]
        assert death(alone, loading=True) == []


def test_a_token_between_strikes_takes_them_back():
    recovery = suspects_of("x")
    for _ in range(5):
        assert due(recovery) == ["x"]
        assert death(recovery) == []
        assert due(recovery) == ["x"]
        progress(recovery, "x")
        death(recovery)
        due(recovery)
        death(recovery)


@pytest.mark.parametrize("way", ["token", "leave", "time"])
def test_a_trial_ends_with_a_token_with_the_end_of_the_request_or_after_a_time(way):
    recovery = suspects_of("a", "b")
    assert due(recovery) == ["b"]
    if way == "token":
        recovery.progress("b")
    elif way == "leave":
        recovery.leave("b")
    else:
        recovery.hear(4.9)
        assert due(recovery) == []
        recovery.hear(5.0)
    assert due(recovery) == ["a"]


def test_a_child_that_says_nothing_ends_no_trial():
    recovery = suspects_of("a", "b")
    assert due(recovery) == ["b"]
    recovery.leave("nobody")
    for _ in range(100):
        assert due(recovery) == []


def test_each_trial_that_ran_out_doubles_the_time_of_the_next():
    recovery = suspects_of("x")
    for seconds in (5.0, 10.0, 20.0):
        assert due(recovery) == ["x"]
        recovery.hear(seconds - 0.1)
        recovery.hear(seconds)
        assert death(recovery) == [], "its trial was over"
    for convicted in ([], ["x"]):
        assert due(recovery) == ["x"]
        recovery.hear(39.9)
        assert death(recovery) == convicted


def test_who_arrives_during_trials_waits_for_their_end_without_being_a_suspect():
    recovery = suspects_of("a", "b")
    recovery.arrive("new")
    assert due(recovery) == ["b"]
    progress(recovery, "b")
    assert due(recovery) == ["a"]
    assert death(recovery) == []
    assert due(recovery) == ["a"]
    progress(recovery, "a")
    assert due(recovery) == ["b", "new"]


def test_trials_wait_for_adapters_but_not_for_ever():
    recovery = suspects_of("b", others=("a",))
    assert due(recovery, loading=True) == ["a"]
    progress(recovery, "a", now=29.9)
    assert due(recovery, loading=True) == []
    recovery.hear(30.0)
    assert due(recovery, loading=True) == ["b"]


def test_who_has_left_is_not_sent_again():
    recovery = recovery_of("a", "b", proven=("a",))
    recovery.leave("a")
    recovery.end(loading=False)
    recovery.leave("b")
    recovery.begin(0.0)
    assert due(recovery) == []


@given(
    poisons=st.dictionaries(st.integers(0, 9), st.integers(0, 12), max_size=3),
    kill=st.integers(0, 200),
    arrivals=st.lists(st.integers(0, 150), min_size=10, max_size=10),
    slow=st.integers(1, 80),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_poison_and_whenever_a_kill_comes_the_poison_alone_is_convicted(poisons, kill, arrivals, slow):
    """Ten requests of twelve tokens on an engine that replays them; a poison is at its k-th for a while, and kills."""
    recovery, world = Recovery(), World(poisons, slow)
    for tick in range(20_000):
        for name in (name for name, at in enumerate(arrivals) if at == tick):
            recovery.arrive(name)
        world.inside |= dict.fromkeys(due(recovery), 0)
        fatal = [world.step(name, recovery) for name in sorted(world.inside, key=lambda name: (name + tick) % 10)]
        if any(fatal) or tick == kill:
            world.convicted += death(recovery, now=tick / 10)
            world.inside.clear()
        recovery.hear(tick / 10)
        if len(world.ended) + len(world.convicted) == 10:
            break
    assert sorted(world.convicted) == sorted(poisons)
    assert sorted(world.ended) == sorted({*range(10)} - {*poisons})


class World:
    """An engine that gives each request a token a step; `inside` says how many of its steps each has had."""

    def __init__(self, poisons, slow):
        self.poisons, self.slow = poisons, slow
        self.tokens, self.inside, self.ended, self.convicted = [0] * 10, {}, [], []

    def step(self, name, recovery):
        """Whether it kills."""
        self.inside[name] += 1
        if self.inside[name] <= self.tokens[name]:
            if self.inside[name] == self.tokens[name]:
                recovery.resume(name)
            return False
        if self.poisons.get(name) == self.tokens[name]:
            return self.inside[name] - self.tokens[name] == self.slow
        self.tokens[name] += 1
        recovery.progress(name)
        if self.tokens[name] == 12 and name not in self.poisons:
            recovery.leave(name)
            self.ended.append(name)
            del self.inside[name]
        return False
