"""One batch: rows of many adapters against as many rows of the base model, in the engine's own loop."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Protocol

from bench.adapters.plan import FEW
from bench.children import stepping_engine
from bench.figures import Pairs, alternate
from bench.workload import prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.adapters.plan import AdapterPlan
    from bench.plan import Plan
    from bench.wire import Child

ROWS = 32
PROMPT_TOKENS = 16
BASE: tuple[str | None, ...] = (None,) * ROWS
EIGHT = tuple(f"a{row % FEW}" for row in range(ROWS))
HALF = tuple(None if row % 2 else name for row, name in enumerate(EIGHT))
MIXES: dict[str, tuple[str | None, ...]] = {
    f"{FEW} adapters, {ROWS // FEW} rows each": EIGHT,
    f"half the base model, half {FEW} adapters": HALF,
    "one adapter": (EIGHT[0],) * ROWS,
}


class Runner(Protocol):
    """One run of some rows; `number` chooses the prompts. The answer of the child."""

    def __call__(self, number: int, max_tokens: int = ...) -> dict[str, float]: ...


@dataclass(frozen=True)
class Mix:
    """Tokens/s of some rows, and of the base model's rows in turn; seconds of a step of either."""

    rows: str
    rates: Pairs
    step_s: float
    base_step_s: float


@dataclass(frozen=True)
class MixFigures:
    plan: Plan
    mixes: list[Mix]


def measure(adapters: AdapterPlan) -> MixFigures:
    """Each mix in turn with base rows in one engine; and base rows there in turn with an engine without adapters."""
    plan = adapters.plan
    with stepping_engine(plan, ROWS, adapters.first(FEW)) as child, stepping_engine(plan, ROWS) as bare:
        mixes = [
            _mix(name, plan.repeats, _runner(plan, child, rows, seed), _runner(plan, child, BASE, seed))
            for seed, (name, rows) in enumerate(MIXES.items())
        ]
        unused, seed = f"the base model, {FEW} adapters there", len(MIXES)
        mixes.append(_mix(unused, plan.repeats, _runner(plan, child, BASE, seed), _runner(plan, bare, BASE, seed)))
    return MixFigures(plan, mixes)


def _runner(plan: Plan, child: Child, rows: Sequence[str | None], seed: int) -> Runner:
    def run(number: int, max_tokens: int = plan.new_tokens) -> dict[str, float]:
        first = 6000 + 1000 * seed + ROWS * number
        prompts = [prompt(plan.encode, first + row, PROMPT_TOKENS) for row in range(ROWS)]
        return dict(child.ask("run", workload="greedy", prompts=prompts, max_tokens=max_tokens, adapters=list(rows)))

    return run


def _mix(name: str, repeats: int, run: Runner, base: Runner) -> Mix:
    steps: tuple[list[float], list[float]] = [], []

    def rate(runner: Runner, step_s: list[float], number: int) -> float:
        answer = runner(number)
        step_s.append(answer["step_s"])
        return answer["tokens"] / answer["seconds"]

    for runner in (run, base):
        runner(repeats, max_tokens=4)  # makes kernels
    rates = alternate(repeats, lambda n: rate(run, steps[0], n), lambda n: rate(base, steps[1], n))
    print(f"{name}: {rates.ratio:.0%} of base rows", file=sys.stderr)
    return Mix(name, rates, median(steps[0]), median(steps[1]))
