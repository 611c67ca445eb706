"""The figures of faults as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.faults.down import WAYS
from bench.faults.early import FORMS, REFUSALS
from bench.faults.memory import LongFigures, ManyFigures
from bench.faults.weather import AT_ONCE, FAULTY
from bench.report import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.faults.cuts import CutFigures
    from bench.faults.down import DownFigures
    from bench.faults.early import EarlyFigures
    from bench.faults.vectors import VectorFigures
    from bench.faults.weather import WeatherFigures

NAMES = {
    "ours": "friendli (ours)",
    "configured": "ours, with a `RetryConfig`",
    "openai": "openai",
    "official": "friendli (official)",
}


def vectors(figures: Mapping[str, Sequence[VectorFigures]]) -> str:
    note = (
        "The clients' own decoders of server-sent events. A vector is a stream and the events that the WHATWG rules "
        "make of it: data, name, last id, retry. It is fed whole, in pieces of 1, 2 and 7 bytes, and in two pieces, "
        "cut at every place; each way is a case, and a vector is right if all its cases are."
    )
    rows = [
        [NAMES[name], f"**{_of(one.vectors_right, one.vectors)}**", _of(one.cases_right, one.cases)]
        for name, (one,) in figures.items()
    ]
    wrong = "\n".join(
        f"- {NAMES[name]}, wrong: {', '.join(one.wrong)}" for name, (one,) in figures.items() if one.wrong
    )
    return _section(note, table(("client", "vectors", "cases"), rows), wrong)


def cuts(figures: Mapping[str, Sequence[CutFigures]]) -> str:
    note = (
        "A stream of 13 tokens over a real connection, broken at offsets spread over all bytes before the end of its "
        "last event. At even offsets the body is chunked, and a clean close ends the chunks as a gateway does whose "
        "upstream died; at odd ones the body ends with the connection. Reported: the client raised an error (in "
        "brackets: one of its own). Exact: the texts given before are those of the events that came whole; from our "
        "client the error carries that very text, too. The shapes are those of the contract; the peers read the second."
    )
    head = ("client", "shape", "broken by", "reported, sync", "async", "exact text, sync", "async")
    rows = [_cut(NAMES[name], pair) for name, all_cuts in figures.items() for pair in _pairs(all_cuts)]
    return _section(note, table(head, rows))


def _cut(name: str, pair: tuple[CutFigures, CutFigures]) -> list[str]:
    reported = [f"**{_of(one.reported, one.cuts)}** ({one.own})" for one in pair]
    return [name, pair[0].shape, pair[0].end, *reported, *(_of(one.exact, one.cuts) for one in pair)]


def _pairs(all_cuts: Iterable[CutFigures]) -> list[tuple[CutFigures, CutFigures]]:
    """Sync beside async."""
    found = {(one.shape, one.end, one.run_async): one for one in all_cuts}
    return [(one, found[shape, end, True]) for (shape, end, run_async), one in found.items() if not run_async]


def down(figures: Mapping[str, Sequence[DownFigures]]) -> str:
    calls = ", ".join(f"{NAMES[name]} {all_ways[0].calls:,}" for name, all_ways in figures.items())
    note = (
        "Requests sent for each call, one after the other over one client with default settings; tries to connect "
        f"where connections are refused. Calls: {calls}. Waits between attempts are skipped: they take no time, but "
        "the client's clocks go on as if they did. The official client tries for an hour."
    )
    rows = [
        [way, *(f"**{one.amplification:,.2f}**" for all_ways in figures.values() for one in all_ways if one.way == way)]
        for way in WAYS
    ]
    return _section(note, table(("the server", *(NAMES[name] for name in figures)), rows))


def weather(figures: Mapping[str, Sequence[WeatherFigures]]) -> str:
    note = (
        f"Calls, half sync, half async, {AT_ONCE} at a time, with default retries; {FAULTY:.0%} of the requests meet a "
        "fault: a reset, 500 or 503 before the server looks at them; after the generation a reset, a 502, silence, a "
        "body cut by a close or a reset, or a late answer. The server generates once for each `Idempotency-Key`, and "
        "for each request without one. Duplicates: generations beyond the first for one call. Failed: calls that "
        "raised; of them on a cut body, which our client never tries again, and with an error that is not the "
        "client's own. Our default retries keep to a budget, which is meant for fewer faults than these, so some calls "
        "fail at once; a `RetryConfig` has none."
    )
    head = ("client", "calls", "requests", "duplicates", "wrong texts", "failed", "on a cut body", "untyped errors")
    return _section(note, table(head, [_storm(NAMES[name], one) for name, (one,) in figures.items()]))


def _storm(name: str, one: WeatherFigures) -> list[str]:
    counts = (one.calls, one.requests, one.duplicates, one.wrong, one.failed, one.cut, one.failed - one.own)
    cells = [f"{count:,}" for count in counts]
    return [name, *cells[:2], f"**{cells[2]}**", *cells[3:]]


def early(figures: Mapping[str, Sequence[EarlyFigures]]) -> str:
    note = (
        f"Each call is refused {REFUSALS} times with `Retry-After` in one of {len(FORMS)} forms, then answered; real "
        "clocks. Early: attempts that came before the moment that the server asked for, by its own clock, which `Date` "
        "tells. Of: attempts that were asked to wait. Forms: " + "; ".join(FORMS) + "."
    )
    rows = [
        [NAMES[name], *(f"**{one.early.total()}** of {one.attempts}" for one in both), _sum(both), _forms(both)]
        for name, both in figures.items()
    ]
    return _section(note, table(("client", "early, sync", "async", "calls failed", "early with"), rows))


def _sum(both: Sequence[EarlyFigures]) -> str:
    return _of(sum(one.failed for one in both), sum(one.calls for one in both))


def _forms(both: Sequence[EarlyFigures]) -> str:
    return "; ".join(dict.fromkeys(form for one in both for form in one.early))


def memory(figures: Mapping[str, Sequence[LongFigures | ManyFigures]]) -> str:
    note = (
        "Events are read one by one and dropped. Held: Python memory that grows with each event of a stream "
        "that is being read; our closing event carries the whole text and all tokens, so ours has to. Left: of it, "
        "bytes that stay when the stream is dropped. Growth: of the process (RSS), while the first stream is read, and "
        "from the end of the second such stream to the end of the fourth."
    )
    head = ("client", "", "events", "held, bytes/event", "left, bytes", "growth while read", "two streams later")
    rows = [
        _long(NAMES[name], one)
        for name, all_of_it in figures.items()
        for one in all_of_it
        if isinstance(one, LongFigures)
    ]
    many_note = (
        "Many streams, one after the other, in each of three ways: read to the end; closed after three events; "
        "dropped after three events, without closing and without a garbage collection. Growth of the process; Python "
        "objects left by half as many streams once more; sockets and tasks still open after the last one, with the "
        "client still open (one idle connection for the next call is no leak) and after it was closed."
    )
    many_head = ("client", "", "streams", "objects left", "growth", "sockets", "tasks", "client closed: sockets")
    many_rows = [
        _many(NAMES[name], one)
        for name, all_of_it in figures.items()
        for one in all_of_it
        if isinstance(one, ManyFigures)
    ]
    return _section(note, table(head, rows), many_note, table(many_head, many_rows))


def _long(name: str, one: LongFigures) -> list[str]:
    growth = [f"{kib / 1024:,.1f} MiB" for kib in (one.peak_kib, one.rss_kib)]
    return [name, _mode(one.run_async), f"{one.events:,}", f"{one.held:,.0f}", f"{one.left:,.0f}", *growth]


def _many(name: str, one: ManyFigures) -> list[str]:
    sizes = [f"{one.bytes / 1024:,.1f} KiB", f"{one.rss_kib / 1024:,.1f} MiB"]
    counts = [str(count) for count in (one.sockets, one.tasks, one.sockets_closed)]
    return [name, f"{one.end}, {_mode(one.run_async)}", f"{one.streams:,}", *sizes, *counts]


def _mode(run_async: bool) -> str:
    return "async" if run_async else "sync"


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}"


def _section(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
