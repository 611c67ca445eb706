"""What `friendli top` shows: one row per endpoint and one per adapter, made of two scrapes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli.cli.scrape import Scrape


@dataclass(frozen=True)
class Latency:
    """Seconds; None when nothing was measured."""

    median: float | None
    p99: float | None


@dataclass(frozen=True)
class AdapterRow:
    """One adapter; rates are per second."""

    name: str
    running: int
    waiting: int
    prompt_rate: float
    completion_rate: float


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint; rates are per second, `batch` is rows per forward, `hits` the cached share of prompts."""

    id: str
    state: str
    running: int
    waiting: int
    batch: float | None
    prompt_rate: float
    completion_rate: float
    kv_used: int
    kv_cached: int
    kv_blocks: int
    hits: float | None
    first_token: Latency
    inter_token: Latency
    request_rate: float
    refusal_rate: float
    restarts: int
    adapters: tuple[AdapterRow, ...]


@dataclass(frozen=True)
class Frame:
    """One picture; `seconds` is the time that its rates are of, `refusal_rate` is of no endpoint."""

    seconds: float
    version: str
    memory: float
    refusal_rate: float
    endpoints: tuple[EndpointRow, ...]


def frame(previous: Scrape, current: Scrape) -> Frame:
    """What has happened between two scrapes, and what is now."""
    grown = current.since(previous)
    ids = current.values_of("endpoint", "friendli_endpoint_state")
    return Frame(
        seconds=grown.at,
        version=next(iter(current.values_of("version", "friendli_engine_version")), ""),
        memory=current.sum("process_resident_memory_bytes"),
        refusal_rate=_rate(grown, "friendli_refusals_total", endpoint="-"),
        endpoints=tuple(_endpoint(current, grown, each) for each in ids),
    )


def _endpoint(current: Scrape, grown: Scrape, endpoint: str) -> EndpointRow:
    forwards = grown.sum("friendli_engine_forwards_total", endpoint=endpoint)
    return EndpointRow(
        id=endpoint,
        state=_state(current, endpoint),
        running=int(current.sum("friendli_requests_running", endpoint=endpoint)),
        waiting=int(current.sum("friendli_requests_waiting", endpoint=endpoint)),
        batch=grown.sum("friendli_engine_rows_total", endpoint=endpoint) / forwards if forwards else None,
        prompt_rate=_tokens(grown, "prompt", endpoint=endpoint),
        completion_rate=_tokens(grown, "completion", endpoint=endpoint),
        kv_used=int(current.sum("friendli_kv_blocks_used", endpoint=endpoint)),
        kv_cached=int(current.sum("friendli_kv_blocks_cached", endpoint=endpoint)),
        kv_blocks=int(current.sum("friendli_kv_blocks", endpoint=endpoint)),
        hits=_hits(grown, endpoint),
        first_token=_latency(grown, "friendli_time_to_first_token_seconds", endpoint),
        inter_token=_latency(grown, "friendli_inter_token_seconds", endpoint),
        request_rate=_rate(grown, "friendli_request_outcomes_total", endpoint=endpoint),
        refusal_rate=_rate(grown, "friendli_refusals_total", endpoint=endpoint),
        restarts=int(current.sum("friendli_engine_restarts_total", endpoint=endpoint)),
        adapters=_adapters(current, grown, endpoint),
    )


def _adapters(current: Scrape, grown: Scrape, endpoint: str) -> tuple[AdapterRow, ...]:
    """None for an endpoint on which nobody has asked for an adapter."""
    names = current.values_of("adapter", "friendli_tokens_total", endpoint=endpoint)
    if names == ["-"]:
        return ()
    return tuple(_adapter(current, grown, endpoint, name) for name in names)


def _adapter(current: Scrape, grown: Scrape, endpoint: str, adapter: str) -> AdapterRow:
    place = {"endpoint": endpoint, "adapter": adapter}
    return AdapterRow(
        name=adapter,
        running=int(current.sum("friendli_requests_running", **place)),
        waiting=int(current.sum("friendli_requests_waiting", **place)),
        prompt_rate=_tokens(grown, "prompt", **place),
        completion_rate=_tokens(grown, "completion", **place),
    )


def _state(current: Scrape, endpoint: str) -> str:
    lines = current.find("friendli_endpoint_state", endpoint=endpoint)
    return next((each.labels["state"] for each in lines if each.value), "-")


def _hits(grown: Scrape, endpoint: str) -> float | None:
    prompt = grown.sum("friendli_tokens_total", endpoint=endpoint, kind="prompt")
    return grown.sum("friendli_tokens_total", endpoint=endpoint, kind="cached") / prompt if prompt else None


def _latency(grown: Scrape, name: str, endpoint: str) -> Latency:
    return Latency(grown.quantile(0.5, name, endpoint=endpoint), grown.quantile(0.99, name, endpoint=endpoint))


def _tokens(grown: Scrape, kind: str, **place: str) -> float:
    return _rate(grown, "friendli_tokens_total", kind=kind, **place)


def _rate(grown: Scrape, name: str, **labels: str) -> float:
    return grown.sum(name, **labels) / grown.at if grown.at > 0 else 0.0
