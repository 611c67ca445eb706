"""The server over HTTP: what it leaves of the bare engine, shared prefixes, identical outputs, time to ready."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench import http_load
from bench.children import NO_ADAPTERS, both, peer_engine
from bench.engine import LOADED, Identity
from bench.figures import Pairs, alternate
from bench.wire import ChildError, Job
from bench.workload import jobs, mixed_jobs, prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.http_load import Target
    from bench.plan import PeerSettings, Plan
    from bench.wire import Child

PREFIX_TOKENS = 1000
PREFIX_SLOTS = 2
PREFIX_SLOT_TOKENS = 2048
SERVE = Path(sys.executable).with_name("friendli")


@dataclass(frozen=True)
class Prefix:
    """Seconds to the first token: of a new prefix, and of the same prefix with another end."""

    first: list[float]
    second: list[float]

    @property
    def ratio(self) -> float:
        return median(second / first for first, second in zip(self.first, self.second, strict=True))


@dataclass(frozen=True)
class ServerFigures:
    """`ours` and `peer` pair HTTP (as ours) with the bare engine (as peer), in tokens/s; `ready` is in seconds."""

    ours: Pairs
    peer: Pairs
    prefix_ours: Prefix
    prefix_peer: Prefix
    identity_ours: Identity
    identity_peer: Identity
    ready: Pairs


def measure(plan: Plan, settings: PeerSettings) -> ServerFigures:
    """All figures of the servers; the peer's HTTP server runs with `settings`."""
    ready = alternate(plan.repeats, lambda _: our_ready(plan), lambda _: peer_ready(plan, settings))
    with both(plan, settings, LOADED) as (our_bare, peer_bare), our_server(plan) as url:
        our_target, peer_target = http_load.ours(url), http_load.llama(peer_bare.ask("facts")["address"], cache=False)
        ours = http_share(plan, our_target, our_bare)
        peer = http_share(plan, peer_target, peer_bare)
        todo = mixed_jobs(plan.encode, plan.mixed, seed=50)
        identities = [identity(target, todo) for target in (our_target, peer_target)]
    with our_server(plan) as url, peer_engine(plan, settings, PREFIX_SLOTS, PREFIX_SLOT_TOKENS) as child:
        peer_url = child.ask("facts")["address"]
        prefixes = [
            shared_prefix(plan, target) for target in (http_load.ours(url), http_load.llama(peer_url, cache=True))
        ]
    return ServerFigures(ours, peer, prefixes[0], prefixes[1], identities[0], identities[1], ready)


def http_share(plan: Plan, target: Target, bare: Child) -> Pairs:
    """Tokens/s of 32 streams over HTTP (as ours) and of the bare engine (as peer), in turn."""

    def todo(number: int) -> list[Job]:
        return jobs(plan.encode, LOADED, prompt_tokens=16, max_tokens=plan.new_tokens, seed=number)

    http_load.run(target, todo(40), LOADED)
    bare.run(todo(40), LOADED)
    return alternate(
        plan.repeats,
        lambda number: http_load.run(target, todo(30 + number), LOADED).tokens_per_s,
        lambda number: bare.run(todo(30 + number), LOADED).tokens_per_s,
    )


def shared_prefix(plan: Plan, target: Target) -> Prefix:
    """A new prefix of 1,000 tokens twice, each time with another end; one request at a time."""
    figures = Prefix([], [])
    for number in range(plan.repeats):
        start = prompt(plan.encode, 7000 + number, PREFIX_TOKENS)
        for end, seconds in enumerate((figures.first, figures.second)):
            job = Job(start + prompt(plan.encode, 8000 + 2 * number + end, 24), 2)
            seconds.append(http_load.run(target, [job], 1).outcomes[0].first_token_s or 0.0)
    return figures


def identity(target: Target, todo: list[Job]) -> Identity:
    """Each job alone, then all of them 32 at a time, over HTTP."""
    alone = http_load.run(target, todo, 1).outcomes
    company = http_load.run(target, todo, LOADED).outcomes
    return Identity(sum(a.output == b.output for a, b in zip(alone, company, strict=True)), len(todo))


def our_ready(plan: Plan) -> float:
    """Seconds from the command to its word that it is ready."""
    begin = time.perf_counter()
    with our_server(plan):
        return time.perf_counter() - begin


def peer_ready(plan: Plan, settings: PeerSettings) -> float:
    begin = time.perf_counter()
    with peer_engine(plan, settings, LOADED) as child:
        child.ask("facts")
        return time.perf_counter() - begin


@contextmanager
def our_server(plan: Plan, adapters: Mapping[str, str] = NO_ADAPTERS) -> Iterator[str]:
    """The address of a `friendli serve`, with adapters by route, that lives as long as the context."""
    command = [SERVE, "serve", "--model", plan.model, "--endpoint-id", "demo", "--port", "0"]
    routes = [word for route, path in adapters.items() for word in ("--adapter", f"{route}={path}")]
    arguments = [*map(str, command), "--threads", str(plan.threads), *routes]
    with TemporaryDirectory() as state:
        arguments += ["--state", state, "--log-level", "warning"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
            try:
                yield _address(server)
            finally:
                server.terminate()


def _address(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        if found := re.search(r"ready at (http://\S+)", line):
            return found[1]
    raise ChildError(f"friendli serve ended with {server.wait()} before it was ready")
