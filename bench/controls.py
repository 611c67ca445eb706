"""What the controls of a request cost: a batch of rows that ask for something against the same batch of greedy ones."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bench.children import stepping_engine
from bench.drivers.controls import WORKLOADS
from bench.figures import Pairs, alternate
from bench.workload import prompt

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.wire import Child

ROWS = 32
PROMPT_TOKENS = 16
BASE = "greedy"


@dataclass(frozen=True)
class Cost:
    """One workload: seconds of its step beside those of greedy, and shares of it outside the forward.

    `heads_share` is the part of `outside_share` that the native search for the rows' heads takes.
    """

    workload: str
    steps: Pairs
    outside_share: float
    heads_share: float

    @property
    def share_of_greedy(self) -> float:
        """Its tokens/s over those of as many greedy rows."""
        return 1 / self.steps.ratio


@dataclass(frozen=True)
class ControlFigures:
    plan: Plan
    costs: list[Cost]


def measure(plan: Plan) -> ControlFigures:
    """Every workload in turn with greedy, in one process."""
    with stepping_engine(plan, ROWS) as child:
        return ControlFigures(plan, [_cost(plan, child, workload) for workload in WORKLOADS])


def _cost(plan: Plan, child: Child, workload: str) -> Cost:
    answers: list[dict[str, float]] = []

    def step(name: str, number: int) -> float:
        prompts = [prompt(plan.encode, 5000 + number * ROWS + i, PROMPT_TOKENS) for i in range(ROWS)]
        answer = child.ask("run", workload=name, prompts=prompts, max_tokens=plan.new_tokens)
        if name == workload:
            answers.append(answer)
        return float(answer["step_s"])

    step(workload, plan.repeats)  # compiles grammars and kernels
    steps = alternate(plan.repeats, lambda n: step(workload, n), lambda n: step(BASE, n))
    shares = (median(answer[share] for answer in answers[1:]) for share in ("outside_share", "heads_share"))
    cost = Cost(workload, steps, *shares)
    print(f"{workload}: {cost.share_of_greedy:.0%} of greedy", file=sys.stderr)
    return cost
