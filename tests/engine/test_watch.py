"""When a child is taken for hanging, on virtual time, and what is left of pulses when it has died."""

from friendli_endpoint.engine.vocabulary import Ping, Pulse
from friendli_endpoint.engine.watch import Pulses, Vigil


def tick(vigil, times=1, *, answer=None):
    """Seconds that pass, each begun by a ping if one may be sent; `answer` makes a pulse of its number."""
    for _ in range(times):
        ping = vigil.ask()
        if ping and answer:
            vigil.hear(answer(ping.number))
        if trouble := vigil.pass_time(1.0):
            return trouble
    return None


def test_only_one_ping_is_unanswered_at_a_time():
    vigil = Vigil(3.0)
    assert vigil.ask() == Ping(1)
    assert vigil.ask() is None
    vigil.hear(Pulse(1))
    assert vigil.ask() == Ping(2)


def test_a_child_that_answers_and_does_nothing_does_not_hang():
    assert tick(Vigil(3.0), 100, answer=Pulse) is None


def test_a_child_hangs_once_it_has_owed_an_answer_for_longer_than_the_limit():
    vigil = Vigil(3.0)
    assert tick(vigil, 10, answer=Pulse) is None
    assert tick(vigil, 3) is None
    assert tick(vigil) == "no answer for 4.0 s"


def test_a_late_answer_within_the_limit_sets_the_clock_back():
    vigil = Vigil(3.0)
    for number in range(1, 20):
        assert tick(vigil, 3) is None
        vigil.hear(Pulse(number))


def test_a_child_that_answers_but_has_sequences_running_without_a_forward_hangs():
    vigil = Vigil(3.0)
    assert tick(vigil, 10, answer=lambda number: Pulse(number, forwards=number, running=2)) is None
    stuck = tick(vigil, 10, answer=lambda number: Pulse(number, forwards=10, running=2))
    assert stuck == "sequences running, but no forward for 4.0 s"


def test_an_idle_moment_is_no_hang_and_neither_is_one_forward_within_the_limit():
    vigil = Vigil(3.0)
    for begin in range(1, 50):
        assert tick(vigil, 2, answer=lambda number, begin=begin: Pulse(number, forwards=begin, running=1)) is None
    for _ in range(50):
        assert tick(vigil, 2, answer=lambda number: Pulse(number, forwards=50, running=1)) is None
        assert tick(vigil, 1, answer=lambda number: Pulse(number, forwards=50)) is None


def test_counters_go_on_from_those_of_the_dead_and_gauges_begin_anew():
    pulses = Pulses()
    assert pulses.latest is None
    pulses.hear(Pulse(1, forwards=5, rows=9, running=3, kv_blocks=64, kv_blocks_used=4))
    pulses.end()
    assert pulses.latest == Pulse(1, forwards=5, rows=9)
    pulses.hear(Pulse(1, forwards=2, rows=2, running=1, kv_blocks=64))
    pulses.end()
    pulses.end()
    pulses.hear(Pulse(1, forwards=1, rows=1, running=1, kv_blocks=64))
    assert pulses.latest == Pulse(1, forwards=8, rows=12, running=1, kv_blocks=64)
