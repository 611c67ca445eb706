"""`friendli top`: what a running server does now, read from its /metrics again and again."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from friendli.cli.server import ServerUrl, Token  # noqa: TC001 - typer reads the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from friendli.cli.keys import Keys
    from friendli.cli.remote import Remote
    from friendli.cli.scrape import Scrape

METRICS_PATH = "/metrics"
_PATIENCE_MS = 5_000


def top(
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table, of the first two looks, and end.")] = False,
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """Watch a running server: who runs and waits, tokens per second, KV cache, latencies. q ends it.

    A token with the scope `metrics` is enough. "batch" is rows per forward, "cached" the share of prompts that the
    prefix cache had; of the KV cache, # is in use, + kept for prompts to come. Rates and latencies are of the time
    since the last look.

    \b
    Examples:
      friendli top --server-url http://127.0.0.1:8080
      friendli top --once --interval 10
    """
    from friendli.cli.remote import remote

    with remote(server_url, token) as server:
        if once or not sys.stdout.isatty():
            _print_once(server, interval)
        else:
            _live(server, interval)


def _print_once(server: Remote, interval: float) -> None:
    from rich.console import Console

    from friendli.cli.top_frame import frame
    from friendli.cli.top_view import Picture

    previous = _look(server)
    time.sleep(interval)
    width = None if sys.stdout.isatty() else 10_000  # what is no terminal gets one line for each row
    Console(width=width).print(Picture(frame(previous, _look(server))))


def _live(server: Remote, interval: float) -> None:
    from rich.live import Live
    from rich.text import Text

    from friendli.cli.keys import keys

    with keys() as pressed, Live(Text("Looking ..."), screen=True, auto_refresh=False) as live:
        for view in _views(server, interval, pressed):
            live.update(view, refresh=True)


def _views(server: Remote, interval: float, pressed: Keys) -> Iterator[RenderableType]:
    """A picture after each look, or what went wrong; it ends with the key q."""
    from rich.console import Group
    from rich.text import Text

    from friendli.cli.terminal import shown
    from friendli.cli.top_frame import frame
    from friendli.cli.top_view import Picture
    from friendli.errors import SDKError

    previous: Scrape | None = None
    view: RenderableType = Text("Looking ...")
    while True:
        try:
            current = _look(server)
        except SDKError as error:
            yield Group(view, Text(), Text(f"{shown(str(error))} - trying again; q ends it", style="bold red"))
        else:
            view = Picture(frame(previous or current, current))
            previous = current
            yield view
        if pressed.within(interval, "q"):
            return


def _look(server: Remote) -> Scrape:
    """Raises `SDKError`."""
    from friendli._answers import expect_content, mismatch
    from friendli.cli.scrape import Scrape

    call = server.call("GET", METRICS_PATH, options={"timeout_ms": _PATIENCE_MS, "retries": None})
    reply = server.run(call)
    expect_content(reply, "text/plain")
    try:
        return Scrape.of(reply.body.decode(), time.monotonic())
    except ValueError as error:
        raise mismatch(reply, "the answer does not hold metrics") from error
