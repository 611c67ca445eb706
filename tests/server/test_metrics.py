"""What /metrics says: names that dashboards know, numbers that add up, and no more lines than there should be."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from telemetry_kit import PATH, Clock, answer, application, ask, exported, fail, read, run

from friendli_endpoint.engine.vocabulary import Pulse
from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.endpoint import Status
from friendli_endpoint.server.telemetry import EndpointFigures, Metrics, Telemetry
from friendli_endpoint.server.telemetry.engines import STATES

ROOT = Path(__file__).parents[2]
DEMO = EndpointFigures(
    id="demo",
    state="RUNNING",
    pulse=Pulse(1, 10, 40, 100, 30, 20, 1, running=3, waiting=2, kv_blocks=64, kv_blocks_used=9, kv_blocks_cached=5),
    restarts=2,
)
# What Friendli Container exports, and dashboards for it read.
CONTAINER = {
    "friendli_requests_total": "counter",
    "friendli_responses_total": "counter",
    "friendli_items_total": "counter",
    "friendli_failure_by_cancel": "unknown",
    "friendli_failure_by_timeout": "unknown",
    "friendli_failure_by_nan_error": "unknown",
    "friendli_failure_by_reject": "unknown",
    "friendli_current_requests": "gauge",
    "friendli_current_items": "gauge",
    "friendli_current_assigned_items": "gauge",
    "friendli_current_waiting_items": "gauge",
    "friendli_tcache_hit_ratio": "histogram",
    "friendli_input_lengths": "histogram",
    "friendli_output_lengths": "histogram",
    "friendli_requests_latencies": "summary",
    "friendli_requests_ttft": "summary",
    "friendli_requests_queueing_delays": "summary",
    "friendli_engine_version": "gauge",
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry(clock: Clock) -> Telemetry:
    return Telemetry(clock)


def test_every_metric_of_the_container_is_there_under_its_name_and_of_its_type(telemetry: Telemetry) -> None:
    text = ask(application(lambda *_: asyncio.sleep(0), telemetry), "/metrics", "GET").text
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    for name, kind in CONTAINER.items():
        assert families[name.removesuffix("_total")] == kind, name


def test_engines_and_endpoints_are_asked_whenever_the_metrics_are_read(telemetry: Telemetry) -> None:
    told = exported(telemetry, [DEMO, EndpointFigures(id="new", state="INITIALIZING")])
    engine = {
        "engine_forwards_total": 10,
        "engine_rows_total": 40,
        "engine_prefill_tokens_total": 100,
        "engine_decode_tokens_total": 30,
        "engine_cached_tokens_total": 20,
        "engine_preemptions_total": 1,
        "engine_running_sequences": 3,
        "engine_waiting_sequences": 2,
        "engine_restarts_total": 2,
        "kv_blocks": 64,
        "kv_blocks_used": 9,
        "kv_blocks_cached": 5,
    }
    assert {name: told[f"friendli_{name}{{endpoint=demo}}"] for name in engine} == engine
    assert told["friendli_kv_blocks{endpoint=new}"] == 0


@pytest.mark.parametrize("state", STATES)
def test_an_endpoint_is_in_one_state(telemetry: Telemetry, state: str) -> None:
    told = exported(telemetry, [EndpointFigures(id="demo", state=state)])
    states = {each: told[f"friendli_endpoint_state{{endpoint=demo,state={each}}}"] for each in STATES}
    assert states == {each: float(each == state) for each in STATES}


def test_the_states_are_those_of_an_endpoint_s_life() -> None:
    assert set(STATES) == set(Status)


def test_the_process_is_there(telemetry: Telemetry) -> None:
    told = exported(telemetry)
    assert min(told[f"process_{name}"] for name in ("resident_memory_bytes", "open_fds", "start_time_seconds")) > 0


def test_what_strangers_ask_for_never_becomes_a_label(telemetry: Telemetry, clock: Clock) -> None:
    app = application(lambda record, send: answer(send), telemetry)
    for number in range(50):
        ask(app, f"/secret-{number}", "GET")
        ask(app, f"/complete/secret-{number}", "POST")
        ask(app, "/health", f"SECRET{number}")
    told = exported(telemetry)
    assert not [name for name in told if "secret" in name.lower()]
    responses = {name: value for name, value in told.items() if name.startswith("friendli_http_responses_total")}
    assert responses == {
        "friendli_http_responses_total{method=GET,route=(none),status=404}": 50,
        f"friendli_http_responses_total{{method=POST,route={PATH},status=200}}": 50,
        "friendli_http_responses_total{method=other,route=/health,status=405}": 50,
    }


def test_who_accepts_openmetrics_gets_it_and_it_is_well_formed(telemetry: Telemetry, clock: Clock) -> None:
    run(telemetry, clock, "pirate")
    reply = ask(
        application(lambda *_: asyncio.sleep(0), telemetry, [DEMO]),
        *("/metrics", "GET"),
        headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"},
    )
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in parse_openmetrics(reply.text)}
    assert {"friendli_requests", "friendli_requests_ttft", "friendli_endpoint_state"} <= families


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "application/json", "\xff;;=,", "text/plain;version=9"])
def test_whatever_else_is_accepted_the_text_format_comes(telemetry: Telemetry, accept: str) -> None:
    reply = ask(
        application(lambda *_: asyncio.sleep(0), telemetry),
        "/metrics",
        "GET",
        headers={"Accept": accept.encode("latin-1")},
    )
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert read(reply.text)["friendli_requests_total"] == 0


def exported_names() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every family of a server that has done everything: name as it is exported, type, labels."""
    clock = Clock()
    telemetry = Telemetry(clock)
    run(telemetry, clock)
    fail(telemetry, EngineFullError("full"))
    metrics = Metrics(telemetry.tally, lambda: [DEMO])
    names = {}
    for family in metrics.collect():
        labels = {label for sample in family.samples for label in sample.labels} - {"le", "quantile"}
        suffix = "_total" if family.type == "counter" else ""
        names[family.name + suffix] = (family.type.replace("unknown", "untyped"), tuple(sorted(labels)))
    return names


def test_the_documentation_s_tables_are_what_is_exported() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", (ROOT / "docs/observability.md").read_text(), re.MULTILINE)
    documented = {name: (kind, tuple(sorted(re.findall(r"`(\w+)`", labels)))) for name, kind, labels in rows}
    assert documented == exported_names()


def test_the_dashboard_asks_only_for_metrics_that_there_are() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/friendli.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    expressions += [each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    asked = {name for each in expressions for name in re.findall(r"\b(?:friendli|process)_\w+", each)}
    names = exported_names()
    series = set(names) | {
        f"{name}_{part}"
        for name, (kind, _) in names.items()
        for part in {"histogram": ("bucket", "sum", "count"), "summary": ("sum", "count")}.get(kind, ())
    }
    assert asked
    assert asked <= series
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
