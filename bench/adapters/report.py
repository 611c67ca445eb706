"""The figures of adapters as Markdown."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.adapters.adding import STREAMS
from bench.adapters.changes import BYSTANDERS, CHANGING
from bench.adapters.files import RANK
from bench.adapters.mixing import PROMPT_TOKENS, ROWS
from bench.adapters.plan import FEW, RESIDENT
from bench.adapters.residents import NEW_TOKENS
from bench.adapters.swapping import new_tokens
from bench.engine import LOADED
from bench.report import choices, middle, pairs_row, table

if TYPE_CHECKING:
    from bench.adapters.adding import AddingFigures
    from bench.adapters.changes import ChangeFigures
    from bench.adapters.mixing import Mix, MixFigures
    from bench.adapters.residents import ResidentFigures
    from bench.adapters.swapping import SwapFigures
    from bench.figures import Pairs


def mixing(figures: MixFigures) -> str:
    plan = figures.plan
    note = (
        f"{ROWS} rows, prompts of {PROMPT_TOKENS} tokens, {plan.new_tokens} new ones each, greedy, the engine's "
        f"loop without the pipe. Adapters of rank {RANK} on q, k, v, o, gate, up and down. Beside each kind of "
        "rows, in turn and in the same engine, as many of the base model; beside the last one, an engine without "
        f"adapters. Medians of {plan.repeats} runs; a share is the median of the pairs', the range in brackets; a "
        "step is one in which every row draws."
    )
    head = ("rows", "tokens/s", "base rows", "share", "step", "base rows' step")
    return "\n\n".join(["## Adapters: one batch", note, table(head, map(_mix, figures.mixes))])


def _mix(mix: Mix) -> list[str]:
    return [
        mix.rows,
        middle(mix.rates.ours),
        middle(mix.rates.peer),
        _share(mix.rates),
        f"{mix.step_s * 1000:.1f} ms",
        f"{mix.base_step_s * 1000:.1f} ms",
    ]


def swapping(figures: SwapFigures) -> str:
    adapters = figures.adapters
    note = (
        f"{ROWS} requests at once, {PROMPT_TOKENS} tokens each and {new_tokens(adapters.plan)} new ones, greedy, to "
        f"both engines as they are used in process, in turn {adapters.extent.repeats} times. Both are given the "
        f"same {FEW} GGUF files at the start. llama.cpp (request field `lora`) computes requests to one adapter at "
        f"a time; it has {ROWS} slots, {choices(adapters.settings)}."
    )
    rows = [
        pairs_row(f"tokens/s, {FEW} adapters, {ROWS // FEW} requests each", figures.over),
        pairs_row("tokens/s, the base model", figures.base),
        [
            "with an adapter, other text than the base model's",
            *(f"{changed} of {ROWS}" for changed in (figures.changed_ours, figures.changed_peer)),
            "",
        ],
    ]
    head = ("", "ours", "llama.cpp", "ours / llama.cpp")
    return "\n\n".join(["## Adapters: beside llama.cpp", note, table(head, rows)])


def adding(figures: AddingFigures) -> str:
    note = (
        f"{STREAMS} streams run through the engine's pipe while each step is taken; the gaps between a stream's "
        f"tokens meanwhile. Medians of {figures.adapters.extent.repeats} engines. The first adapter brings a "
        "second graph, compiled beside the steps. Memory: the engine's process after a request to each adapter at "
        "once; of it, files are what the system may drop and read again."
    )
    pauses = [
        [each.step, f"{each.seconds:.2f} s", f"{each.usual_s * 1000:.1f} ms", f"**{each.longest_s * 1000:.0f} ms**"]
        for each in figures.pauses
    ]
    memory = [[each.when, f"{each.mb:,.0f}", f"{each.files_mb:,.0f}"] for each in figures.memory]
    return "\n\n".join(
        [
            "## Adapters: adding",
            note,
            table(("meanwhile", "took", "usual gap", "longest gap"), pauses),
            table(("memory with", "MB", "of it files"), memory),
        ]
    )


def residents(figures: ResidentFigures) -> str:
    many = len(figures.adapters.files)
    note = (
        f"{many} adapters registered, {RESIDENT} in memory. {LOADED} clients, prompts of 8 to 160 tokens, "
        f"{NEW_TOKENS} new ones, half of them sampled, each request to an adapter at random, through the engine's "
        f"pipe; in turn with as many requests to {FEW} of the adapters. Wrong: other tokens than the same request "
        "alone."
    )
    rates = figures.rates
    rows = [
        [f"tokens/s over {many} adapters", middle(rates.ours)],
        [f"tokens/s over {FEW}", middle(rates.peer)],
        ["share", _share(rates)],
        [f"requests over {many}", f"{figures.requests}"],
        ["failed", f"**{figures.failed}**"],
        ["wrong", f"**{figures.wrong}**"],
    ]
    return "\n\n".join(["## Adapters: more than fit", note, table(("", ""), rows)])


def changes(figures: ChangeFigures) -> str:
    note = (
        f"`friendli serve` with {FEW} adapters. {CHANGING} more routes are added, replaced under a running stream, "
        f"and removed under two, at once and in rounds; {BYSTANDERS} streams to the base model and to the {FEW} go "
        "on meanwhile. Changed: other tokens than the same request alone, with the adapter that the route led to "
        "when the request came. A DELETE is answered when the route's last request has ended."
    )
    rows = [
        ["calls (PUT, DELETE)", f"{figures.changes}"],
        ["requests meanwhile", f"{figures.requests}"],
        ["calls or requests failed", f"**{len(figures.failed)}**"],
        ["requests changed", f"**{figures.changed}**"],
        *(
            [f"{method}, median and longest", f"{median(seconds):.2f} s, {max(seconds):.2f} s"]
            for method, seconds in figures.calls.items()
        ),
    ]
    return "\n\n".join(["## Adapters: changes under load", note, table(("", ""), rows)])


def _share(rates: Pairs) -> str:
    low, high = rates.spread
    return f"**{rates.ratio:.0%}** ({low:.0%} to {high:.0%})"
