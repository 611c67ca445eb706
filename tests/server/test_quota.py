"""What a team may use in a minute, on a clock that the tests turn."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from overload_kit import Clock

from friendli_endpoint.config import TeamSettings
from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.quota import Bucket, Quotas


def quotas_of(**teams):
    clock = Clock()
    return Quotas(lambda name: teams.get(name, TeamSettings()), clock), clock


def refusal(quotas, team):
    with pytest.raises(EngineFullError) as caught:
        quotas.check(team)
    return caught.value


def test_a_new_bucket_holds_a_minutes_worth():
    bucket = Bucket(per_minute=6)
    for _ in range(6):
        assert bucket.wait(0.0) == 0.0
        bucket.take(1, 0.0)
    assert bucket.wait(0.0) == pytest.approx(10.0)


def test_a_bucket_is_refilled_all_the_time_and_never_holds_more_than_a_minutes_worth():
    bucket = Bucket(per_minute=6)
    bucket.take(6, 0.0)
    assert bucket.wait(4.0) == pytest.approx(6.0)
    for _ in range(6):
        assert bucket.wait(3_600.0) == 0.0
        bucket.take(1, 3_600.0)
    assert bucket.wait(3_600.0) > 0


def test_a_debt_is_waited_for():
    bucket = Bucket(per_minute=60)
    bucket.take(600, 0.0)
    assert bucket.wait(0.0) == pytest.approx(541.0)


@given(
    per_minute=st.integers(1, 10**9),
    takes=st.lists(st.tuples(st.floats(0, 1e4), st.integers(1, 10**6)), min_size=1, max_size=30),
)
@example(per_minute=9, takes=[(7.716079112012157, 13)])  # where the sum of times is not exact
def test_after_the_wait_there_is_one_and_before_it_there_is_none(per_minute, takes):
    bucket, now = Bucket(per_minute), 0.0
    for seconds, amount in takes:
        now += seconds
        bucket.take(amount, now)
    wait = bucket.wait(now)
    assert bucket.wait(now + wait) == 0.0
    assert wait < 1e-3 or bucket.wait(now + 0.99 * wait) > 0.0


def test_a_team_without_limits_is_never_refused_and_not_remembered():
    quotas, _ = quotas_of()
    quotas.used("acme", requests=10**6, tokens=10**9)
    quotas.check("acme")
    assert not quotas._teams


def test_the_requests_of_a_minute_and_the_tokens_of_a_minute_have_reasons_of_their_own():
    quotas, _ = quotas_of(often=TeamSettings(requests_per_minute=2), much=TeamSettings(tokens_per_minute=100))
    quotas.used("often", requests=2, tokens=10**6)
    quotas.used("much", requests=10**6, tokens=100)
    error = refusal(quotas, "often")
    assert (error.reason, error.retry_after) == ("team rate", pytest.approx(30.0))
    error = refusal(quotas, "much")
    assert (error.reason, error.retry_after) == ("team tokens", pytest.approx(0.6))


def test_tokens_are_debited_as_they_are_used_and_may_run_into_debt():
    quotas, clock = quotas_of(acme=TeamSettings(tokens_per_minute=60))
    for _ in range(7):
        quotas.used("acme", tokens=20)
    clock.now += refusal(quotas, "acme").retry_after
    quotas.check("acme")


def test_one_team_pays_for_no_other_one():
    quotas, _ = quotas_of(acme=TeamSettings(requests_per_minute=1), zeta=TeamSettings(requests_per_minute=1))
    quotas.used("acme", requests=5)
    quotas.check("zeta")


def test_asking_debits_nothing():
    quotas, clock = quotas_of(acme=TeamSettings(requests_per_minute=1))
    quotas.used("acme", requests=1)
    for _ in range(100):
        refusal(quotas, "acme")
    clock.now += 60
    quotas.check("acme")


def test_a_team_is_forgotten_once_it_owes_nothing():
    limits = TeamSettings(requests_per_minute=60)
    clock = Clock()
    quotas = Quotas(lambda _: limits, clock)
    for number in range(10_000):
        clock.now += 1
        quotas.used(f"team-{number}", requests=10)
    assert len(quotas._teams) <= 11


def test_however_many_names_owe_something_so_many_are_remembered_and_no_more():
    quotas = Quotas(lambda _: TeamSettings(requests_per_minute=1), Clock())
    for number in range(5_000):
        quotas.used(f"team-{number}", requests=1)
    assert len(quotas._teams) == 4096
    assert refusal(quotas, "team-4999").reason == "team rate"
