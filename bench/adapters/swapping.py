"""The same requests over the same adapters: ours, and llama.cpp's server engine, which takes one adapter a batch."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.adapters.mixing import EIGHT, PROMPT_TOKENS, ROWS
from bench.adapters.plan import FEW
from bench.children import both
from bench.figures import Pairs, alternate
from bench.workload import jobs

if TYPE_CHECKING:
    from bench.adapters.plan import AdapterPlan
    from bench.plan import Plan
    from bench.wire import Child, Job, Output


@dataclass(frozen=True)
class SwapFigures:
    """Tokens/s over the adapters and of the base model, and how many requests an adapter gave another output."""

    adapters: AdapterPlan
    over: Pairs
    base: Pairs
    changed_ours: int
    changed_peer: int


def measure(adapters: AdapterPlan) -> SwapFigures:
    plan, repeats = adapters.plan, adapters.extent.repeats
    with both(plan, adapters.settings, ROWS, adapters.first(FEW)) as (ours, peer):
        for side in (ours, peer):
            side.run(_over([replace(job, max_tokens=4) for job in _base(plan, repeats)]), ROWS)
        outputs: dict[tuple[str, bool], list[Output]] = {}

        def rate(side: Child, number: int, *, over: bool) -> float:
            todo = _base(plan, number)
            run = side.run(_over(todo) if over else todo, ROWS)
            outputs[side.name, over] = [outcome.output for outcome in run.outcomes]
            return run.tokens_per_s

        over = alternate(repeats, lambda n: rate(ours, n, over=True), lambda n: rate(peer, n, over=True))
        base = alternate(repeats, lambda n: rate(ours, n, over=False), lambda n: rate(peer, n, over=False))
    print(f"{ROWS} requests over {FEW} adapters: {over.ratio:.1f} times llama.cpp", file=sys.stderr)
    changed = [
        sum(a != b for a, b in zip(outputs[side.name, True], outputs[side.name, False], strict=True))
        for side in (ours, peer)
    ]
    return SwapFigures(adapters, over, base, *changed)


def new_tokens(plan: Plan) -> int:
    """Of each request: half as many as elsewhere, since llama.cpp takes its time over them."""
    return plan.new_tokens // 2


def _base(plan: Plan, number: int) -> list[Job]:
    return jobs(plan.encode, ROWS, prompt_tokens=PROMPT_TOKENS, max_tokens=new_tokens(plan), seed=100 + number)


def _over(base: list[Job]) -> list[Job]:
    return [replace(job, adapter=name) for job, name in zip(base, EIGHT, strict=True)]
