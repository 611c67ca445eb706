"""Figures as Markdown."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.children import SLOT_TOKENS
from bench.controls import ROWS
from bench.engine import LOADED, PREFILL_PROMPTS, PREFILL_TOKENS, new_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.client import ClientFigures
    from bench.controls import ControlFigures
    from bench.demo import DemoFigures
    from bench.engine import EngineFigures, Identity, Tried
    from bench.figures import Pairs
    from bench.plan import PeerSettings
    from bench.server import Prefix, ServerFigures

QUIET = 0.05  # of all cores: llama.cpp, which waits busily, already suffers above it

ENGINES = ("", "ours", "llama.cpp", "ours / llama.cpp")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers are expected to be formatted already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def engine(figures: EngineFigures) -> str:
    rows = [pairs_row(f"tokens/s, {count} at once", pairs) for count, pairs in figures.decode.items()]
    ours, peer = figures.ours, figures.peer
    rows += [
        pairs_row("prefill, tokens/s", figures.prefill),
        _seconds(f"time to first token, p50, {LOADED} at once", ours.latency.p50, peer.latency.p50),
        _seconds(f"time to first token, p99, {LOADED} at once", ours.latency.p99, peer.latency.p99),
        [f"same output alone and {LOADED} at once", _same(ours.identity), _same(peer.identity), ""],
        [
            f"peak memory at {LOADED}, MB",
            f"{ours.peak_rss_mb:,.0f}",
            f"{peer.peak_rss_mb:,.0f}",
            f"{ours.peak_rss_mb / peer.peak_rss_mb:.2f}",
        ],
    ]
    return "\n\n".join(["## Engine", _engine_setting(figures), table(ENGINES, rows), *_tuning(figures.tried)])


def controls(figures: ControlFigures) -> str:
    rows = [
        [
            cost.workload,
            f"{median(cost.steps.ours) * 1000:.1f} ms",
            f"**{cost.share_of_greedy:.0%}**",
            f"{cost.outside_share:.0%}",
            f"{cost.heads_share:.0%}",
        ]
        for cost in figures.costs
    ]
    plan = figures.plan
    note = (
        f"{ROWS} rows a step, {plan.new_tokens} tokens each, the engine's loop without the pipe; steps in which every "
        f"row draws. Share of greedy: tokens/s over those of {ROWS} greedy rows, the median of {plan.repeats} runs in "
        "turn. Outside the forward: everything else of a step, from scheduling to the encoded frame; a part of it is "
        "heads: the native search for each row's most probable tokens and its mass."
    )
    head = ("rows ask for", "step", "share of greedy", "outside the forward", "heads")
    return "\n\n".join(["## Controls", note, table(head, rows)])


def server(figures: ServerFigures) -> str:
    rows = [
        [f"tokens/s, {LOADED} streams over HTTP", middle(figures.ours.ours), middle(figures.peer.ours), ""],
        ["the bare engine, same prompts", middle(figures.ours.peer), middle(figures.peer.peer), ""],
        ["share of the bare engine", f"{figures.ours.ratio:.0%}", f"{figures.peer.ratio:.0%}", ""],
        _prefix("first", figures.prefix_ours.first, figures.prefix_peer.first),
        _prefix("second", figures.prefix_ours.second, figures.prefix_peer.second),
        ["second / first", _ratio(figures.prefix_ours), _ratio(figures.prefix_peer), ""],
        [f"same output alone and {LOADED} at once", _same(figures.identity_ours), _same(figures.identity_peer), ""],
        _seconds("command to ready, s", median(figures.ready.ours), median(figures.ready.peer)),
    ]
    note = (
        "The load generator (plain asyncio) runs on the same cores as the server. Share: HTTP and bare engine in turn. "
        "llama.cpp is its own HTTP server in the wheel; ready means its port answers."
    )
    return "\n\n".join(["## Server", note, table(ENGINES, rows)])


def client(figures: list[ClientFigures]) -> str:
    head = (
        "client",
        "version",
        "us per event",
        "async",
        "us per call",
        "import, ms",
        "instance, ms",
        "first call, ms",
        "all three",
    )
    rows = [
        [
            one.name,
            one.version,
            f"{one.event_us:.1f}",
            f"{one.async_event_us:.1f}",
            f"{one.call_us:,.0f}",
            f"{one.import_ms:.0f}",
            f"{one.instance_ms:.0f}",
            f"{one.first_call_ms:.0f}",
            f"{one.import_ms + one.instance_ms + one.first_call_ms:.0f}",
        ]
        for one in figures
    ]
    note = (
        "CPU time (user and system) of the client's process alone, medians; a loopback server in another process "
        "answers from memory, with one HTTP chunk for each event. Each client has an environment of its own. Import, "
        "first instance and first call follow each other in a fresh process; some clients put off what others import."
    )
    return "\n\n".join(["## Client", note, table(head, rows)])


def demo(figures: DemoFigures) -> str:
    words = "\n".join(f"    {line}" for line in figures.printed.strip().splitlines()[-4:])
    note = f"`git clone` and `make demo`, nothing cached here: {figures.seconds:.0f} s to the last word."
    return "\n\n".join(["## Demo", note, words])


def company(share: float) -> str:
    """Whether the machine was quiet enough for the figures above to be true."""
    said = f"Other processes used {share:.0%} of the processor meanwhile"
    return f"{said}." if share < QUIET else f"**{said}: these figures are not to be trusted.**"


def _engine_setting(figures: EngineFigures) -> str:
    plan = figures.plan
    alone = new_tokens(plan, 1)
    return " ".join(
        [
            f"Both serve {plan.model.name} with {plan.threads} threads and get the same prompt tokens.",
            f"Tokens/s: prompts of 16 tokens, {plan.new_tokens} new ones each ({alone} when alone), greedy,",
            f"end of sequence ignored. Prefill: {PREFILL_PROMPTS} prompts of {PREFILL_TOKENS} tokens.",
            f"Time to first token: {plan.waiting_jobs} mixed jobs from {LOADED} clients.",
            f"Outputs: {plan.mixed} mixed jobs, half greedy, half sampled with a seed.",
            f"Medians of {plan.repeats} runs in turn; a ratio is the median of the pairs', the range in brackets.",
            f"llama.cpp: slots = requests, {SLOT_TOKENS} tokens each, continuous batching,",
            f"{choices(figures.settings)}; its build uses {_features(figures.peer_system)}.",
        ]
    )


def _features(system: str) -> str:
    """The instruction sets in llama.cpp's own words, "CPU : AVX = 1 | AVX2 = 1 | "."""
    names = (part.split(":")[-1].split("=")[0].strip() for part in system.split("|") if "= 1" in part)
    return ", ".join(names)


def _tuning(tried: list[Tried]) -> list[str]:
    if not tried:
        return ["The peer's settings were not tuned in this run."]
    rows = [[choices(one.settings), f"{one.decode:,.0f}", f"{one.prefill:,.0f}"] for one in tried]
    head = (f"llama.cpp's settings tried, {LOADED} at once", "tokens/s", "prefill, tokens/s")
    return [table(head, rows)]


def choices(settings: PeerSettings) -> str:
    flash = {-1: "auto", 0: "off", 1: "on"}[settings.flash]
    return f"flash attention {flash}, ubatch {settings.ubatch}, poll {settings.poll}"


def pairs_row(name: str, pairs: Pairs) -> list[str]:
    low, high = pairs.spread
    return [name, middle(pairs.ours), middle(pairs.peer), f"**{pairs.ratio:.2f}** ({low:.2f} to {high:.2f})"]


def _prefix(which: str, ours: list[float], peer: list[float]) -> list[str]:
    return _seconds(f"time to first token, 1,000-token prefix, {which}", median(ours), median(peer))


def _seconds(name: str, ours: float, peer: float) -> list[str]:
    return [name, f"{ours:.3f} s", f"{peer:.3f} s", f"{ours / peer:.2f}"]


def middle(values: list[float]) -> str:
    return f"{median(values):,.0f}"


def _ratio(prefix: Prefix) -> str:
    return f"{prefix.ratio:.2f}"


def _same(identity: Identity) -> str:
    return f"{identity.same} of {identity.of}"
