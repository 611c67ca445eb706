"""What is counted of requests: how many, how long, how they ended, by endpoint and by not too many adapters."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from telemetry_kit import PATH, Clock, answer, application, ask, exported, fail, run

from friendli_endpoint.errors import EngineError, EngineFullError, RequestError
from friendli_endpoint.server.errors import UnavailableError
from friendli_endpoint.server.limits import ClientLeftError
from friendli_endpoint.server.telemetry import Telemetry
from friendli_endpoint.server.telemetry.counts import Histogram, Summary
from friendli_endpoint.server.telemetry.traffic import TrafficTable

if TYPE_CHECKING:
    from starlette.types import Send

    from friendli_endpoint.server.telemetry import RequestRecord

KINDS = ("prompt", "cached", "completion")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry(clock: Clock) -> Telemetry:
    return Telemetry(clock)


def test_a_request_adds_one_to_the_requests_and_its_choices_to_the_items(telemetry: Telemetry, clock: Clock) -> None:
    run(telemetry, clock)
    run(telemetry, clock)
    told = exported(telemetry)
    assert [told[f"friendli_{name}_total"] for name in ("requests", "responses", "items")] == [2, 2, 4]


def test_the_container_s_times_are_nanoseconds_with_three_quantiles(telemetry: Telemetry, clock: Clock) -> None:
    run(telemetry, clock)
    told = exported(telemetry)
    for name, seconds in {"latencies": 1.25, "ttft": 0.75, "queueing_delays": 0.5}.items():
        for quantile in ("0.5", "0.9", "0.99"):
            assert told[f"friendli_requests_{name}{{quantile={quantile}}}"] == seconds * 1e9
        assert told[f"friendli_requests_{name}_sum"] == seconds * 1e9


def test_our_times_are_seconds_by_endpoint_and_adapter(telemetry: Telemetry, clock: Clock) -> None:
    run(telemetry, clock, "pirate")
    told = exported(telemetry)
    place = "{adapter=pirate,endpoint=demo}"
    for name, (count, seconds) in {
        "request_duration": (1, 1.25),
        "time_to_first_token": (1, 0.75),
        "inter_token": (2, 0.5),
        "queue": (1, 0.5),
    }.items():
        assert told[f"friendli_{name}_seconds_count{place}"] == count, name
        assert told[f"friendli_{name}_seconds_sum{place}"] == seconds, name
    assert told["friendli_inter_token_seconds_bucket{adapter=pirate,endpoint=demo,le=0.25}"] == 2
    assert told["friendli_inter_token_seconds_bucket{adapter=pirate,endpoint=demo,le=0.1}"] == 0


def test_tokens_are_those_that_were_charged_by_kind(telemetry: Telemetry, clock: Clock) -> None:
    run(telemetry, clock)
    told = exported(telemetry)
    tokens = {kind: told[f"friendli_tokens_total{{adapter=-,endpoint=demo,kind={kind}}}"] for kind in KINDS}
    assert tokens == {"prompt": 100, "cached": 40, "completion": 6}
    assert told["friendli_tcache_hit_ratio_sum"] == 0.4
    assert told["friendli_input_lengths_sum"] == 100
    assert told["friendli_output_lengths_sum"] == 6


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (EngineFullError("full"), "overloaded", 429),
        (UnavailableError("stopping", retry_after=1), "unavailable", 503),
        (RequestError("wrong"), "invalid_request", 422),
        (RequestError("unknown", status=404), "not_found", 404),
    ],
)
def test_a_refusal_is_counted_by_its_reason(telemetry: Telemetry, error: Exception, reason: str, status: int) -> None:
    told = fail(telemetry, error)
    assert told[f"friendli_refusals_total{{endpoint=demo,reason={reason}}}"] == 1
    assert told["friendli_failure_by_reject"] == 1
    assert told[f"friendli_http_responses_total{{method=POST,route={PATH},status={status}}}"] == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ClientLeftError(), "left"),
        (asyncio.CancelledError(), "left"),
        (RequestError("late", status=429), "timeout"),
        (EngineError("died"), "failed"),
        (ValueError("ours"), "failed"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_request_that_does_not_finish_is_counted_by_how_it_ended(
    telemetry: Telemetry, error: BaseException, outcome: str, begun: bool
) -> None:
    told = fail(telemetry, error, begun=begun)
    assert told[f"friendli_request_outcomes_total{{adapter=-,endpoint=demo,outcome={outcome}}}"] == 1
    assert told["friendli_failure_by_cancel"] == (outcome == "left")
    assert told["friendli_failure_by_timeout"] == (outcome == "timeout")
    assert told["friendli_responses_total"] == 0


def test_requests_that_are_here_are_told_apart_by_whether_they_have_their_turn(
    telemetry: Telemetry, clock: Clock
) -> None:
    seen: list[dict[str, float]] = []

    async def work(record: RequestRecord, send: Send) -> None:
        record.asked()
        record.placed("demo")
        record.queued(3)
        seen.append(await asyncio.to_thread(exported, telemetry))
        record.started()
        seen.append(await asyncio.to_thread(exported, telemetry))
        await answer(send)

    ask(application(work, telemetry))
    seen.append(exported(telemetry))
    place = "{adapter=-,endpoint=demo}"
    assert [told[f"friendli_requests_waiting{place}"] for told in seen] == [1, 0, 0]
    assert [told[f"friendli_requests_running{place}"] for told in seen] == [0, 1, 0]
    assert [told["friendli_current_waiting_items"] for told in seen] == [3, 0, 0]
    assert [told["friendli_current_assigned_items"] for told in seen] == [0, 3, 0]
    assert [told["friendli_current_requests"] for told in seen] == [1, 1, 0]


def test_what_an_answer_says_behind_its_request_s_end_is_not_counted(telemetry: Telemetry, clock: Clock) -> None:
    records: list[RequestRecord] = []

    async def work(record: RequestRecord, send: Send) -> None:
        record.asked()
        record.placed("demo")
        records.append(record)
        await answer(send)

    ask(application(work, telemetry))
    before = exported(telemetry)
    records[0].queued(5)
    records[0].started()
    records[0].end()
    after = exported(telemetry)
    changed = {name for name in after if str(after[name]) != str(before.get(name))}
    assert not [name for name in changed if name.startswith("friendli_") and "http_responses" not in name]


def test_adapters_beyond_the_cap_are_counted_as_others(clock: Clock) -> None:
    table = TrafficTable(clock, most=2)
    found = [table.find("demo", name) for name in ("a", "b", "c", "d", "a")]
    assert found[2] is found[3]
    assert found[4] is found[0]
    assert sorted(place for place, _ in table) == [("demo", "(other)"), ("demo", "a"), ("demo", "b")]
    assert [table.label("demo", name) for name in ("a", "c", None)] == ["a", "(other)", "-"]


def test_a_new_adapter_takes_the_place_of_one_that_nobody_has_asked_for_in_long(clock: Clock) -> None:
    table = TrafficTable(clock, most=2)
    table.find("demo", "old")
    table.find("demo", "busy")
    clock.passes(601)
    table.find("demo", "busy")
    table.find("demo", "new")
    assert sorted(place for place, _ in table) == [("demo", "busy"), ("demo", "new")]


def test_thousands_of_adapters_leave_as_many_lines_as_the_cap(telemetry: Telemetry, clock: Clock) -> None:
    for number in range(2_000):
        telemetry.tally.traffic("demo", f"adapter-{number}")
        clock.passes(10)
    names = {place for place, _ in telemetry.tally.table}
    assert len(names) == 51


def test_a_histogram_s_bounds_are_inclusive() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 8.0)


def test_quantiles_are_of_the_last_thousand_values() -> None:
    summary = Summary()
    assert all(math.isnan(value) for value in summary.quantiles().values())
    for value in (*[1e9] * 500, *range(1, 1_001)):
        summary.observe(value)
    assert summary.quantiles() == {0.5: 501, 0.9: 901, 0.99: 991}
    assert summary.count == 1_500
