"""The picture of `friendli top` on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.table import Table
from rich.text import Text

from friendli.cli.terminal import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from friendli.cli.top_frame import AdapterRow, EndpointRow, Frame

_STATES: Final = {"RUNNING": "green", "FAILED": "bold red", "SLEEPING": "blue"}
_BAR: Final = 8
_WIDE: Final = 140
_THREE_DIGITS: Final = 100


@dataclass(frozen=True)
class Picture:
    """A head and a table: each endpoint with its adapters below it. Where that is too wide, times have their own."""

    frame: Frame

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(" - ".join(_head(self.frame)), no_wrap=True, overflow="ellipsis")
        yield Text()
        if options.max_width >= _WIDE:
            yield _table(self.frame, (*_NAME, *_WORK, *_TIMES), adapters=True)
        else:
            yield _table(self.frame, (*_NAME, *_WORK), adapters=True)
            yield Text()
            yield _table(self.frame, (*_NAME, *_TIMES), adapters=False)


class _Column(NamedTuple):
    title: str
    endpoint: Callable[[EndpointRow], str | Text]
    adapter: Callable[[AdapterRow], str] = lambda _: ""
    left: bool = False


def _table(frame: Frame, columns: Sequence[_Column], *, adapters: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="left" if column.left else "right", no_wrap=True)
    for row in frame.endpoints:
        table.add_row(*(column.endpoint(row) for column in columns))
        for below in row.adapters if adapters else ():
            table.add_row(*(Text(column.adapter(below)) for column in columns), style="dim")
    return table


def _head(frame: Frame) -> Iterator[str]:
    yield shown(f"friendli {frame.version}")
    yield f"{frame.memory / 2**20:,.0f} MiB"
    yield f"over {frame.seconds:.1f} s"
    if frame.refusal_rate:
        yield f"{frame.refusal_rate:.1f} refused/s before they reached an endpoint"
    restarts = [f"{shown(each.id)} {each.restarts}" for each in frame.endpoints if each.restarts]
    if restarts:
        yield f"restarts: {', '.join(restarts)}"


def _bar(row: EndpointRow) -> Text:
    """Blocks in use, then those that are kept for prompts to come."""
    if not row.kv_blocks:
        return Text("-")
    used = round(_BAR * row.kv_used / row.kv_blocks)
    cached = min(round(_BAR * row.kv_cached / row.kv_blocks), _BAR - used)
    bar = Text("#" * used, style="red" if used == _BAR else "green")
    bar.append("+" * cached, style="blue").append("." * (_BAR - used - cached), style="dim")
    return bar.append(f" {row.kv_used / row.kv_blocks:4.0%}", style="default")


def _adapter_name(row: AdapterRow) -> str:
    return "  (base)" if row.name == "-" else f"  :{shown(row.name)}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{1_000 * value:.1f} ms" if value < 1 else f"{value:.2f} s"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= _THREE_DIGITS else f"{value:.1f}"


_NAME: Final = (_Column("endpoint", lambda row: Text(shown(row.id), style="bold"), _adapter_name, left=True),)
_WORK: Final = (
    _Column("state", lambda row: Text(shown(row.state), style=_STATES.get(row.state, "yellow")), left=True),
    _Column("run", lambda row: f"{row.running}", lambda row: f"{row.running}"),
    _Column("wait", lambda row: f"{row.waiting}", lambda row: f"{row.waiting}"),
    _Column("batch", lambda row: _number(row.batch)),
    _Column("in/s", lambda row: _number(row.prompt_rate), lambda row: _number(row.prompt_rate)),
    _Column("out/s", lambda row: _number(row.completion_rate), lambda row: _number(row.completion_rate)),
    _Column("kv", _bar, left=True),
    _Column("cached", lambda row: "-" if row.hits is None else f"{row.hits:.0%}"),
)
_TIMES: Final = (
    _Column("ttft p50", lambda row: _seconds(row.first_token.median)),
    _Column("p99", lambda row: _seconds(row.first_token.p99)),
    _Column("token p50", lambda row: _seconds(row.inter_token.median)),
    _Column("p99", lambda row: _seconds(row.inter_token.p99)),
    _Column("req/s", lambda row: _number(row.request_rate)),
    _Column("refused/s", lambda row: _number(row.refusal_rate)),
)
