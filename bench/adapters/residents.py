"""More adapters than fit: requests over all of them at random, against the same over few, and each one alone."""

from __future__ import annotations

import random
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from bench.adapters.plan import FEW
from bench.children import our_engine
from bench.engine import LOADED
from bench.figures import Pairs, alternate
from bench.wire import Run
from bench.workload import mixed_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.adapters.plan import AdapterPlan
    from bench.wire import Child, Job

NEW_TOKENS = 16


@dataclass(frozen=True)
class ResidentFigures:
    """Tokens/s over many adapters and over few, and what became of the requests over many."""

    adapters: AdapterPlan
    rates: Pairs
    requests: int
    failed: int
    wrong: int


def measure(adapters: AdapterPlan) -> ResidentFigures:
    """Every request over many is given once more, alone, and finds nothing cached of the first time."""
    repeats = adapters.extent.repeats
    loads = [_load(adapters, len(adapters.files), number) for number in range(repeats)]
    together: dict[int, Run] = {}
    with our_engine(adapters.plan, LOADED, adapters.files) as child:
        child.run(_load(adapters, FEW, repeats), LOADED)

        def many(number: int) -> float:
            together[number] = _run(child, loads[number], LOADED)
            return together[number].tokens_per_s

        rates = alternate(repeats, many, lambda number: _run(child, _load(adapters, FEW, number), LOADED).tokens_per_s)
        alone = [_run(child, [replace(job, scope="alone") for job in load], 1) for load in loads]
    failed, wrong = count_faults(loads, [together[number] for number in range(repeats)], alone)
    print(f"{len(adapters.files)} adapters: {failed} failed, {wrong} wrong", file=sys.stderr)
    return ResidentFigures(adapters, rates, sum(map(len, loads)), failed, wrong)


def _load(adapters: AdapterPlan, count: int, number: int) -> list[Job]:
    """Jobs of many sizes, half of them sampled with a seed, each over one of the first `count` adapters at random."""
    rng = random.Random(number)  # noqa: S311  not for security
    names = list(adapters.first(count))
    todo = mixed_jobs(adapters.plan.encode, adapters.extent.requests, seed=500 + 100 * (count == FEW) + number)
    return [replace(job, max_tokens=NEW_TOKENS, adapter=rng.choice(names)) for job in todo]


def _run(child: Child, todo: Sequence[Job], concurrency: int) -> Run:
    """As `Child.run`, but jobs may fail."""
    return Run.read(child.ask("run", jobs=[asdict(job) for job in todo], concurrency=concurrency))


def count_faults(loads: Sequence[Sequence[Job]], together: Sequence[Run], alone: Sequence[Run]) -> tuple[int, int]:
    """Jobs with too few tokens, and whole ones with other tokens than alone."""
    failed = wrong = 0
    for load, first, second in zip(loads, together, alone, strict=True):
        for job, one, other in zip(load, first.outcomes, second.outcomes, strict=True):
            failed += one.tokens != job.max_tokens
            wrong += one.tokens == job.max_tokens and one.output != other.output
    return failed, wrong
