"""The engine, without HTTP: ours and llama.cpp's server engine work off the same jobs in turn."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.children import both, peer_engine
from bench.figures import Pairs, alternate, percentile
from bench.memory import peak_rss_mb
from bench.plan import PeerSettings
from bench.workload import jobs, mixed_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.plan import Plan
    from bench.wire import Child, Job

LOADED = 32  # concurrent requests for latency, memory and identical outputs
PREFILL_TOKENS = 448
PREFILL_PROMPTS = 8

CANDIDATES = (
    PeerSettings(),
    PeerSettings(flash=0),
    PeerSettings(poll=0),
    PeerSettings(ubatch=128),
    PeerSettings(ubatch=2048),
)


@dataclass(frozen=True)
class Tried:
    """One try of the peer's settings: decode tokens/s at 32 rows and prefill tokens/s."""

    settings: PeerSettings
    decode: float
    prefill: float


@dataclass(frozen=True)
class Identity:
    """Jobs whose output alone and among others was the same, of all jobs."""

    same: int
    of: int


@dataclass(frozen=True)
class Latency:
    """Seconds to the first token."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Loaded:
    """What one engine showed at 32 concurrent requests."""

    latency: Latency
    identity: Identity
    peak_rss_mb: float


@dataclass(frozen=True)
class EngineFigures:
    plan: Plan
    settings: PeerSettings
    tried: list[Tried]
    decode: dict[int, Pairs]
    prefill: Pairs
    ours: Loaded
    peer: Loaded
    peer_system: str


def measure(plan: Plan, *, tune: bool) -> EngineFigures:
    """All figures of the engines; with `tune` the peer's settings are tried first and its best are used."""
    tried = [try_settings(plan, settings) for settings in CANDIDATES] if tune else []
    best = max(tried, key=lambda one: one.decode * one.prefill).settings if tried else PeerSettings()
    decode: dict[int, Pairs] = {}
    for rows in plan.rows:
        with both(plan, best, rows) as (ours, peer):
            decode[rows] = decode_rates(plan, ours, peer, rows)
            _say(f"decode at {rows} rows: {decode[rows].ours} ours, {decode[rows].peer} llama.cpp")
    with both(plan, best, PREFILL_PROMPTS) as (ours, peer):
        prefill = alternate(
            plan.repeats, lambda n: prefill_rate(plan, ours, n + 1), lambda n: prefill_rate(plan, peer, n + 1)
        )
        _say(f"prefill: {prefill.ours} ours, {prefill.peer} llama.cpp")
    with both(plan, best, LOADED) as (ours, peer):
        figures = {side.name: loaded(plan, side) for side in (ours, peer)}
        return EngineFigures(
            plan, best, tried, decode, prefill, figures[ours.name], figures[peer.name], peer.ask("facts")["system"]
        )


def try_settings(plan: Plan, settings: PeerSettings) -> Tried:
    """The peer's rates with these settings, each the better of two short runs."""
    with peer_engine(plan, settings, LOADED) as peer:
        short = jobs(plan.encode, LOADED, prompt_tokens=16, max_tokens=24, seed=90)
        decode = max(peer.run(short, LOADED).tokens_per_s for _ in range(2))
        prefill = max(prefill_rate(plan, peer, seed) for seed in (91, 92))
    _say(f"llama.cpp with {settings}: {decode:.0f} tokens/s, prefill {prefill:.0f}")
    return Tried(settings, decode, prefill)


def decode_rates(plan: Plan, ours: Child, peer: Child, rows: int) -> Pairs:
    """Tokens/s with `rows` jobs at once, short prompts: mostly decode."""
    for side in (ours, peer):
        side.run(jobs(plan.encode, rows, prompt_tokens=16, max_tokens=4, seed=80), rows)

    def rate(side: Child, number: int) -> float:
        todo = jobs(plan.encode, rows, prompt_tokens=16, max_tokens=new_tokens(plan, rows), seed=number)
        return side.run(todo, rows).tokens_per_s

    return alternate(plan.repeats, lambda n: rate(ours, n + 1), lambda n: rate(peer, n + 1))


def new_tokens(plan: Plan, rows: int) -> int:
    """Tokens that each of `rows` jobs generates: more of them alone, or the run would be too short to time."""
    return plan.new_tokens * (3 if rows == 1 else 1)


def prefill_rate(plan: Plan, side: Child, seed: int) -> float:
    """Prompt tokens/s of long prompts at once, of which no engine has seen any; one token each is generated."""
    todo = jobs(plan.encode, PREFILL_PROMPTS, prompt_tokens=PREFILL_TOKENS, max_tokens=1, seed=seed)
    return PREFILL_PROMPTS * PREFILL_TOKENS / side.run(todo, PREFILL_PROMPTS).seconds


def loaded(plan: Plan, side: Child) -> Loaded:
    """Time to first token and identical outputs at 32 concurrent jobs, and the peak memory after both."""
    latency = first_token(plan, side)
    same = identity(side, mixed_jobs(plan.encode, plan.mixed, seed=70))
    return Loaded(latency, same, peak_rss_mb(side.pid))


def first_token(plan: Plan, side: Child) -> Latency:
    """32 clients that each start their next job when one ends; every job counts, the first 32 at once too."""
    todo = mixed_jobs(plan.encode, plan.waiting_jobs, seed=60)
    seconds = [outcome.first_token_s for outcome in side.run(todo, LOADED, stream=True).outcomes]
    times = [time for time in seconds if time is not None]
    return Latency(percentile(times, 0.5), percentile(times, 0.99))


def identity(side: Child, todo: Sequence[Job]) -> Identity:
    """Each job alone, then all of them 32 at a time."""
    alone = side.run(todo, 1).outcomes
    company = side.run(todo, LOADED).outcomes
    return Identity(sum(a.output == b.output for a, b in zip(alone, company, strict=True)), len(todo))


def _say(progress: str) -> None:
    print(progress, file=sys.stderr)
