"""What the client costs by itself: ours against the OpenAI client, the official Friendli client, and none at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.environments import peer_python
from bench.wire import Child, ChildError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENTS = {"ours": "ours", "openai": "openai", "official": "friendli", "raw": "ours"}
NAMES = {
    "ours": "friendli (ours)",
    "openai": "openai",
    "official": "friendli (official)",
    "raw": "httpx2 + json, no client",
}
OPERATIONS = ("stream", "stream_async", "calls")
COLD = Path(__file__).parent / "clients" / "cold.py"


@dataclass(frozen=True)
class Plan:
    repeats: int
    events: int
    calls: int


@dataclass(frozen=True)
class ClientFigures:
    """CPU of one client, medians.

    Microseconds per stream event (sync, async) and per call; milliseconds for the import, the first instance, and
    its first call.
    """

    name: str
    version: str
    event_us: float
    async_event_us: float
    call_us: float
    import_ms: float
    instance_ms: float
    first_call_ms: float


def measure(plan: Plan) -> list[ClientFigures]:
    """Every client in turn, `plan.repeats` times, each in its own process and environment."""
    with flood() as url:
        warm = _warm(plan, url)
        cold = _cold(plan, url)
    return [
        ClientFigures(
            NAMES[key],
            warm[key].version,
            *(median(warm[key].cpu_us[operation]) for operation in OPERATIONS),
            median(cold[key]["import_ms"]),
            median(cold[key]["instance_ms"]),
            median(cold[key]["first_call_ms"]),
        )
        for key in ENVIRONMENTS
    ]


@dataclass(frozen=True)
class _Warm:
    version: str
    cpu_us: dict[str, list[float]]


def _warm(plan: Plan, url: str) -> dict[str, _Warm]:
    with ExitStack() as stack:
        children = {key: stack.enter_context(_client(key, url)) for key in ENVIRONMENTS}
        figures = {key: _Warm(child.ask("version"), defaultdict(list)) for key, child in children.items()}
        for operation in OPERATIONS:
            count = plan.calls if operation == "calls" else plan.events
            for number in range(plan.repeats + 1):
                answers = {key: child.ask(operation, count=count) for key, child in children.items()}
                _require_same({key: answer["characters"] for key, answer in answers.items()})
                for key, answer in answers.items():
                    if number > 0:  # the first round warms up
                        figures[key].cpu_us[operation].append(answer["cpu_us"])
        return figures


def _cold(plan: Plan, url: str) -> dict[str, dict[str, list[float]]]:
    figures: dict[str, dict[str, list[float]]] = {key: defaultdict(list) for key in ENVIRONMENTS}
    for number in range(plan.repeats + 1):
        for key, environment in ENVIRONMENTS.items():
            command = [str(peer_python(environment)), "-P", str(COLD), key, url]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for name, value in json.loads(printed).items():
                if number > 0:  # the first round compiles and fills the page cache
                    figures[key][name].append(value)
    return figures


@contextmanager
def flood() -> Iterator[str]:
    """The address of a flood server that lives as long as the context."""
    command = [sys.executable, "-m", "bench.clients.flood"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


def _client(key: str, url: str) -> Child:
    return Child(NAMES[key], [peer_python(ENVIRONMENTS[key]), "-m", "bench.clients.run", key, url])


def _require_same(characters: dict[str, int]) -> None:
    if len(set(characters.values())) != 1:
        raise ChildError(f"the clients read different texts: {characters}")
