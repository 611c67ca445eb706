"""`friendli adapters`: the LoRA adapters of a running endpoint, listed and changed while it serves."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from friendli.cli.failures import USAGE, fail
from friendli.cli.server import ServerUrl, Token  # noqa: TC001 - typer reads the annotations at run time
from friendli.cli.terminal import print_table, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli.cli.adapter_routes import Adapter, AdapterRoutes

app = typer.Typer(
    help="List and change the LoRA adapters of a running endpoint.", no_args_is_help=True, rich_markup_mode=None
)

EndpointId: TypeAlias = Annotated[str, typer.Option("--endpoint", help="Endpoint id.", show_default=True)]
Route: TypeAlias = Annotated[str, typer.Argument(metavar="ROUTE", help="The part of `model` after the colon.")]


@app.command("list")
def list_adapters(
    endpoint: EndpointId = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's reply as JSON.")] = False,
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """List the adapters: what each one changes, how many requests use it, where it came from.

    \b
    Examples:
      friendli adapters list --server-url http://127.0.0.1:8080
      friendli adapters list --endpoint mine --json
    """
    with _routes(server_url, token, endpoint) as routes:
        found = routes.all()
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    elif found.data:
        _print_table(found.data)
    else:
        typer.echo(f"The endpoint {endpoint} has no adapters.", err=True)


@app.command("add")
def add(
    route: Route,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A PEFT folder, a GGUF LoRA file or a hub id, for the server.")
    ],
    endpoint: EndpointId = "demo",
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """Add an adapter, or replace the route's.

    Requests that run keep the adapter that they began with. The server reads SOURCE on its own machine: what exists
    on this one is sent as an absolute path, all else as it is.

    \b
    Examples:
      friendli adapters add pirate ./adapters/pirate --server-url http://127.0.0.1:8080
      friendli adapters add pirate org/pirate-lora --endpoint mine
    """
    with _routes(server_url, token, endpoint) as routes:
        adapter, new = routes.put(_named(route, "ROUTE"), _source(_named(source, "SOURCE")))
    change = f"Added {adapter.route} to" if new else f"Replaced {adapter.route} of"
    targets = " ".join(adapter.targets)
    typer.echo(shown(f"{change} {endpoint}: rank {adapter.rank}, {targets}, {adapter.parameters:,} parameters."))


@app.command("remove")
def remove(
    route: Route,
    endpoint: EndpointId = "demo",
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """Remove a route, and wait for what runs on it.

    From now on the route is unknown to new requests; the command returns when the last of the old ones has ended.

    \b
    Examples:
      friendli adapters remove pirate --server-url http://127.0.0.1:8080
    """
    with _routes(server_url, token, endpoint) as routes:
        _named(route, "ROUTE")
        typer.echo(f"Removing {route} from {endpoint}; this waits for the requests that run on it.", err=True)
        routes.remove(route)
    typer.echo(f"Removed {route} from {endpoint}.")


@contextmanager
def _routes(server_url: str | None, token: str | None, endpoint: str) -> Iterator[AdapterRoutes]:
    """The endpoint's routes, with errors explained."""
    from friendli.cli.adapter_routes import AdapterRoutes
    from friendli.cli.remote import remote

    with remote(server_url, token) as server:
        yield AdapterRoutes(server, _named(endpoint, "--endpoint"))


def _named(value: str, what: str) -> str:
    if not value:
        raise fail(f"{what} is empty", USAGE)
    return value


def _source(source: str) -> str:
    # Unlike pathlib's, these two take anything that a person may have typed.
    path = os.path.expanduser(source)  # noqa: PTH111
    return str(Path(path).absolute()) if os.path.exists(path) else source  # noqa: PTH110


def _print_table(adapters: list[Adapter]) -> None:
    titles = ("route", "rank", "targets", "parameters", "requests", "source")
    rows = [
        (one.route, f"{one.rank}", " ".join(one.targets), f"{one.parameters:,}", f"{one.requests}", one.source)
        for one in adapters
    ]
    print_table(titles, rows, numbers=("rank", "parameters", "requests"))
