"""`friendli endpoints`: the endpoints of a running server, listed, put to sleep, woken and restarted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from friendli.cli.failures import USAGE, fail
from friendli.cli.server import ServerUrl, Token  # noqa: TC001 - typer reads the annotations at run time
from friendli.cli.terminal import print_table, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli.cli.endpoint_calls import Change, Endpoint, EndpointCalls

app = typer.Typer(
    help="List the endpoints of a running server, put them to sleep, wake and restart them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EndpointId: TypeAlias = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Endpoint id.")]


@app.command("list")
def list_endpoints(
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's reply as JSON.")] = False,
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """List the endpoints: the status of each, how many requests are there, and why one has failed.

    \b
    Examples:
      friendli endpoints list --server-url http://127.0.0.1:8080
      friendli endpoints list --json
    """
    with _calls(server_url, token) as calls:
        found = calls.all()
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    elif found.data:
        _print_table(found.data)
    else:
        typer.echo("The server has no endpoint that this token may use.", err=True)


@app.command("sleep")
def sleep(endpoint: EndpointId, server_url: ServerUrl = None, token: Token = None) -> None:
    """Give an endpoint's memory back; the next request wakes it.

    An endpoint with requests stays awake, and the command fails.

    \b
    Examples:
      friendli endpoints sleep demo --server-url http://127.0.0.1:8080
    """
    _change(endpoint, "sleep", server_url, token)


@app.command("wake")
def wake(endpoint: EndpointId, server_url: ServerUrl = None, token: Token = None) -> None:
    """Have an endpoint ready, before a request has to wait for it.

    \b
    Examples:
      friendli endpoints wake demo --server-url http://127.0.0.1:8080
    """
    _change(endpoint, "wake", server_url, token)


@app.command("restart")
def restart(endpoint: EndpointId, server_url: ServerUrl = None, token: Token = None) -> None:
    """Start an endpoint again that has failed.

    \b
    Examples:
      friendli endpoints restart demo --server-url http://127.0.0.1:8080
    """
    _change(endpoint, "restart", server_url, token)


def _change(endpoint_id: str, change: Change, server_url: str | None, token: str | None) -> None:
    with _calls(server_url, token) as calls:
        if not endpoint_id:
            raise fail("ENDPOINT is empty", USAGE)
        endpoint = calls.change(endpoint_id, change)
    started = (
        "" if change == "sleep" or endpoint.start_seconds is None else f" It started in {endpoint.start_seconds:.1f} s."
    )
    typer.echo(shown(f"{endpoint.id} is {endpoint.status}.{started}"))


@contextmanager
def _calls(server_url: str | None, token: str | None) -> Iterator[EndpointCalls]:
    """The server's endpoints, with errors explained."""
    from friendli.cli.endpoint_calls import EndpointCalls
    from friendli.cli.remote import remote

    with remote(server_url, token) as server:
        yield EndpointCalls(server)


def _print_table(endpoints: list[Endpoint]) -> None:
    titles = ("endpoint", "status", "requests", "waiting", "adapters", "started in", "error")
    rows = [
        (
            each.id,
            each.status,
            f"{each.requests}",
            f"{each.waiting}",
            f"{each.adapters}",
            "" if each.start_seconds is None else f"{each.start_seconds:.1f} s",
            each.error or "",
        )
        for each in endpoints
    ]
    print_table(titles, rows, numbers=("requests", "waiting", "adapters", "started in"))
