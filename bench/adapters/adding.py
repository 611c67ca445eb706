"""What the first adapter costs: pauses of streams that run meanwhile, and memory."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from itertools import cycle, pairwise
from statistics import median
from typing import TYPE_CHECKING

from bench.adapters.plan import FEW, RESIDENT
from bench.children import our_engine
from bench.memory import process_tree, resident_mb
from bench.workload import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.adapters.plan import AdapterPlan
    from bench.wire import Child

STREAMS = 8
STREAM_TOKENS = 1900  # more than a stream gets to, and no more than the default model's context


@dataclass(frozen=True)
class Pause:
    """A step beside the streams: how long it took, the median and the longest gap between two tokens of a stream."""

    step: str
    seconds: float
    usual_s: float
    longest_s: float


FIELDS = ("seconds", "usual_s", "longest_s")


@dataclass(frozen=True)
class Memory:
    """Resident memory of the engine's process, in MB (10**6 bytes), and what of it are files."""

    when: str
    mb: float
    files_mb: float


@dataclass(frozen=True)
class AddingFigures:
    adapters: AdapterPlan
    pauses: list[Pause]
    memory: list[Memory]


def measure(adapters: AdapterPlan) -> AddingFigures:
    """The pauses are medians of runs, each with an engine of its own, since there is one first adapter."""
    runs = [_watch(adapters, number) for number in range(adapters.extent.repeats)]
    pauses = [
        Pause(same[0].step, *(median(getattr(each, field) for each in same) for field in FIELDS))
        for same in zip(*runs, strict=True)
    ]
    return AddingFigures(adapters, pauses, _memory(adapters))


def gaps(arrivals: Sequence[float], begin: float, end: float) -> list[float]:
    """Seconds between neighbouring tokens, of all gaps that have a part between `begin` and `end`."""
    return [after - before for before, after in pairwise(arrivals) if after > begin and before < end]


def _watch(adapters: AdapterPlan, number: int) -> list[Pause]:
    plan = adapters.plan
    streams = jobs(plan.encode, STREAMS, prompt_tokens=16, max_tokens=STREAM_TOKENS, seed=200 + number)
    job = jobs(plan.encode, 1, prompt_tokens=16, max_tokens=16, seed=300 + number)[0]
    (first, path), (second, other) = adapters.first(2).items()
    steps: list[tuple[str, dict[str, object]]] = [
        ("nothing", {}),
        ("a request to the base model", {"job": asdict(job)}),
        ("the first adapter is added", {"add": {first: path}}),
        ("a first request to it", {"job": asdict(replace(job, adapter=first))}),
        ("the second adapter is added", {"add": {second: other}}),
        ("a first request to it", {"job": asdict(replace(job, adapter=second))}),
    ]
    with our_engine(plan, STREAMS + 1, slot_tokens=STREAM_TOKENS + 148) as child:
        answer = child.ask(
            "watch",
            jobs=[asdict(stream) for stream in streams],
            pause_s=adapters.extent.pause_s,
            steps=[step for _, step in steps],
        )
    pauses = [
        _pause(name, begin, end, answer["arrivals"])
        for (name, _), (begin, end) in zip(steps, answer["spans"], strict=True)
    ]
    print(*(f"{each.step}: longest gap {each.longest_s * 1000:.0f} ms" for each in pauses), sep="; ", file=sys.stderr)
    return pauses


def _pause(step: str, begin: float, end: float, arrivals: Sequence[Sequence[float]]) -> Pause:
    seen = [gap for stream in arrivals for gap in gaps(stream, begin, end)]
    return Pause(step, end - begin, median(seen), max(seen))


def _memory(adapters: AdapterPlan) -> list[Memory]:
    names = list(adapters.files)
    with our_engine(adapters.plan, RESIDENT) as child:
        figures = [_used(adapters, child, "no adapter", [None])]
        for before, count in pairwise((0, 1, FEW, RESIDENT)):
            child.ask("add", adapters={name: adapters.files[name] for name in names[before:count]})
            figures.append(_used(adapters, child, f"{count} adapters" if before else "one adapter", names[:count]))
    return figures


def _used(adapters: AdapterPlan, child: Child, when: str, names: Sequence[str | None]) -> Memory:
    """After requests to each of the adapters at once."""
    todo = jobs(adapters.plan.encode, RESIDENT, prompt_tokens=16, max_tokens=8, seed=400)
    child.run([replace(job, adapter=name) for job, name in zip(todo, cycle(names), strict=False)], RESIDENT)
    _, *engine = process_tree(child.pid)
    return Memory(when, resident_mb(engine), resident_mb(engine, "RssFile"))
