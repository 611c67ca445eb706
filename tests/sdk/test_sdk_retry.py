"""When a call is tried again, how long it waits, and what it raises in the end; no clock and no network."""

from __future__ import annotations

import random
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from friendli import errors
from friendli._call import Call, Failure, Limits, Outcome, Reply, Send, Sleep, as_it_is, life
from friendli._retry import (
    ConfiguredRetry,
    DefaultRetry,
    NoRetry,
    RetryBudget,
    RetryPolicy,
    Setback,
    Trouble,
    retry_after,
)
from friendli.utils import BackoffStrategy, RetryConfig

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_700_000_000.0
CONFIG = RetryConfig("backoff", BackoffStrategy(500, 60_000, 1.5, 3_600_000, jitter_ms=0), True)


class World:
    """Runs a life: time passes only in sleeps and by `latency`, answers come from a list, the last one repeats."""

    def __init__(self, *answers: Reply | Failure, latency: float = 0.0) -> None:
        self.answers = list(answers)
        self.latency = latency
        self.now = 100.0
        self.sent: list[Send] = []
        self.slept: list[float] = []

    def run(self, policy: RetryPolicy, *, total: float = 600, token: Callable[[], str | None] = lambda: None) -> Reply:
        call = Call("http://x/y", {"k": "v"}, b"{}", False, Limits(5, 120, total), policy, total, token)
        flow = life(call, lambda: self.now, as_it_is)
        effect = next(flow)
        while True:
            try:
                effect = flow.send(self._perform(effect))
            except StopIteration as end:
                return end.value

    def _perform(self, effect: Send | Sleep) -> Outcome:
        if isinstance(effect, Sleep):
            self.slept.append(effect.seconds)
            self.now += effect.seconds
            return None
        self.sent.append(effect)
        self.now += self.latency
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def reply(status: int, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"", NOW)


def failure(trouble: Trouble, *, timed_out: bool = False) -> Failure:
    return Failure(trouble, "no luck", OSError("why"), timed_out)


def default(total: float = 600, draw: Callable[[], float] = lambda: 1.0) -> DefaultRetry:
    return DefaultRetry(RetryBudget(), total, draw)


RETRIED = [408, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("status", [*RETRIED, 400, 401, 403, 404, 409, 413, 422, 501, 505, 301])
def test_by_default_these_statuses_are_tried_three_times_and_all_others_once(status):
    world = World(reply(status))
    with pytest.raises(errors.APIError) as caught:
        world.run(default())
    assert caught.value.status_code == status
    assert len(world.sent) == (3 if status in RETRIED else 1)


def test_a_conflict_is_tried_again_only_when_the_server_says_so():
    world = World(reply(409, x_should_retry="true"), reply(200))
    assert world.run(default()).status == 200


@pytest.mark.parametrize("status", RETRIED)
def test_what_the_server_says_not_to_try_again_is_final(status):
    world = World(reply(status, x_should_retry="false"))
    with pytest.raises(errors.APIError):
        world.run(default())
    assert len(world.sent) == 1


@pytest.mark.parametrize(
    ("trouble", "attempts"),
    [(Trouble.CONNECT, 3), (Trouble.BROKEN, 3), (Trouble.TIMEOUT, 1), (Trouble.FINAL, 1)],
)
def test_by_default_lost_connections_are_tried_again_but_nothing_that_may_be_at_work(trouble, attempts):
    world = World(failure(trouble))
    with pytest.raises(errors.APIConnectionError) as caught:
        world.run(default())
    assert len(world.sent) == attempts
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.status_code == -1


def test_a_timeout_is_its_own_error_and_a_timeout_error_too():
    with pytest.raises(errors.APITimeoutError) as caught:
        World(failure(Trouble.TIMEOUT, timed_out=True)).run(NoRetry())
    assert isinstance(caught.value, TimeoutError)


def test_waits_have_full_jitter_and_grow_from_a_base_by_the_kind_of_trouble():
    for status, waits in ((500, [0.05, 0.1]), (429, [1.0, 2.0])):
        for share in (0.0, 0.5, 1.0):
            world = World(reply(status))
            with pytest.raises(errors.APIError):
                world.run(default(draw=lambda share=share: share))
            assert world.slept == pytest.approx([wait * share for wait in waits])


def test_every_attempt_is_the_same_request_but_for_a_fresh_token():
    tokens = iter(["Bearer a", "Bearer b"])
    world = World(reply(500), reply(200))
    world.run(default(), token=lambda: next(tokens))
    first, second = world.sent
    assert [send.headers["authorization"] for send in world.sent] == ["Bearer a", "Bearer b"]
    assert (first.url, first.content, first.headers["k"]) == (second.url, second.content, second.headers["k"])


def test_no_attempt_may_take_longer_than_what_is_left_of_the_call():
    world = World(reply(500), latency=4.0)
    with pytest.raises(errors.APIError):
        world.run(default(total=10, draw=lambda: 0.0), total=10)
    assert [send.limits.total for send in world.sent] == [10, 6, 2]
    assert {send.deadline for send in world.sent} == {110.0}
    assert world.sent[2].limits.connect == 2


def test_with_a_server_that_is_down_a_thousand_calls_send_at_most_a_tenth_more_requests():
    for answer in (failure(Trouble.CONNECT), reply(500), reply(503), reply(429)):
        world, budget = World(answer), RetryBudget()
        for _ in range(1000):
            with pytest.raises(errors.SDKError):
                world.run(DefaultRetry(budget, 600))
        assert len(world.sent) <= 1100


def test_the_budget_recovers_with_success():
    budget = RetryBudget()
    while budget.take(throttled=False):
        pass
    for _ in range(RetryBudget.TRANSIENT_COST):
        DefaultRetry(budget, 600).succeeded()
    assert budget.take(throttled=False)


def test_a_retry_that_succeeds_costs_nothing():
    budget = RetryBudget()
    for _ in range(1000):
        world = World(reply(500), reply(200))
        world.run(DefaultRetry(budget, 600))
    assert budget.take(throttled=False)
    for _ in range(10):
        with pytest.raises(errors.APIError):
            World(reply(500)).run(DefaultRetry(budget, 600))
    assert len(world.sent) == 2


# Retry-After

ASKED: list[tuple[dict[str, str], float | None]] = [
    ({"retry-after": "2"}, 2.0),
    ({"retry-after": " 0 "}, 0.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": "120"}, 120.0),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "250.5", "retry-after": "9"}, 0.2505),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
    ({"retry-after": "Tuesday, 14-Nov-23 22:13:50 GMT"}, 30.0),
    ({"retry-after": "Tue Nov 14 22:13:50 2023"}, 30.0),
    ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
    ({"retry-after": formatdate(NOW + 30, usegmt=True), "date": formatdate(NOW - 60, usegmt=True)}, 90.0),
    ({"retry-after": formatdate(NOW + 30, usegmt=True), "date": formatdate(NOW + 60, usegmt=True)}, 30.0),
    ({"retry-after": "-1"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "1e3"}, None),
    ({"retry-after": "\u0663"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "later"}, None),
    ({"retry-after": "Tue, 99 Nov 2023 22:13:50 GMT"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "asked"), ASKED)
def test_retry_after_is_read_in_each_of_its_forms(headers, asked):
    assert retry_after(headers, NOW) == (None if asked is None else pytest.approx(asked))


@pytest.mark.parametrize(("headers", "asked"), [row for row in ASKED if row[1] is not None])
@pytest.mark.parametrize("configured", [False, True])
def test_no_attempt_comes_earlier_than_the_server_asked(headers, asked, configured):
    for seed in range(20):
        draw = random.Random(seed).random  # noqa: S311 - no secret
        world = World(Reply(429, headers, b"", NOW), reply(200))
        world.run(ConfiguredRetry(CONFIG, 600, draw) if configured else DefaultRetry(RetryBudget(), 600, draw))
        assert world.slept[0] >= asked


@pytest.mark.parametrize("policy", [default(), ConfiguredRetry(CONFIG, 600)])
def test_when_the_server_asks_for_longer_than_the_call_may_take_it_gives_up_at_once_and_says_so(policy):
    world = World(reply(429, retry_after="3600"))
    with pytest.raises(errors.RateLimitError, match="3600 s, longer than this call may wait") as caught:
        world.run(policy)
    assert (len(world.sent), world.slept, caught.value.retry_after) == (1, [], 3600.0)


# The documented configuration


def configured(*backoff: float, connection_errors: bool = True, **more: object) -> ConfiguredRetry:
    strategy = BackoffStrategy(*backoff, jitter_ms=more.pop("jitter_ms", 0))  # type: ignore[arg-type, misc]
    return ConfiguredRetry(RetryConfig("backoff", strategy, connection_errors, **more), 600, lambda: 1.0)  # type: ignore[arg-type]


def test_a_retry_config_decides_intervals_factor_and_limit_in_milliseconds():
    world = World(reply(500))
    with pytest.raises(errors.APIError):
        world.run(configured(100, 300, 2, 1000))
    assert world.slept == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_jitter_lengthens_a_wait_but_not_beyond_the_longest_interval():
    setback = Setback(Trouble.STATUS, 500)
    assert configured(100, 1000, 1, 1000, jitter_ms=50).wait(setback, 0, 0) == pytest.approx(0.15)
    assert configured(100, 1000, 1, 1000, jitter_ms=None).wait(setback, 0, 0) == pytest.approx(0.2)
    assert configured(100, 110, 1, 1000, jitter_ms=50).wait(setback, 0, 0) == pytest.approx(0.11)


def test_a_very_late_attempt_does_not_overflow():
    assert configured(1, 50, 10, 10_000).wait(Setback(Trouble.STATUS, 500), 10_000, 0) == pytest.approx(0.05)


@pytest.mark.parametrize("trouble", [Trouble.CONNECT, Trouble.BROKEN, Trouble.TIMEOUT])
def test_a_retry_config_says_whether_connection_errors_and_timeouts_count(trouble):
    assert configured(1, 1, 1, 1000).wait(Setback(trouble), 0, 0) is not None
    assert configured(1, 1, 1, 1000, connection_errors=False).wait(Setback(trouble), 0, 0) is None


def test_nothing_is_tried_again_once_the_answer_began():
    assert configured(1, 1, 1, 1000).wait(Setback(Trouble.FINAL), 0, 0) is None


def test_a_retry_config_may_name_its_own_statuses():
    policy = configured(1, 1, 1, 1000, status_codes_override=["418", "5XX"])
    waits = {status: policy.wait(Setback(Trouble.STATUS, status), 0, 0) for status in (418, 429, 500, 599)}
    assert [status for status, wait in waits.items() if wait is not None] == [418, 500, 599]


@pytest.mark.parametrize("fields", [(-1, 1, 1, 1), (1, -1, 1, 1), (1, 1, 0, 1), (1, 1, 1, -1), (1, 1, 1, 1, -1)])
def test_a_strategy_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValueError, match=r"must be|are milliseconds"):
        BackoffStrategy(*fields)
