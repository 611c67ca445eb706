"""Which server a command talks to: one that is named, or one that lives for the command alone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import typer

from friendli.cli.failures import USAGE, fail, needs_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli import SyncFriendli


class Target(NamedTuple):
    """A client, and the endpoint id to send as `model`."""

    client: SyncFriendli
    model: str


@contextmanager
def target(model: str | None, server_url: str | None, token: str | None, team: str | None) -> Iterator[Target]:
    """A server is named by its URL, or by a token, which stands for the hosted service."""
    named = server_url or token or os.environ.get("FRIENDLI_SERVER_URL") or os.environ.get("FRIENDLI_TOKEN")
    with _named(model, server_url, token, team) if named else _embedded(model, team) as found:
        yield found


@contextmanager
def _named(model: str | None, server_url: str | None, token: str | None, team: str | None) -> Iterator[Target]:
    from friendli import SyncFriendli

    if model is None:
        raise fail("a server is named, so say which of its endpoints: --model ENDPOINT_ID", USAGE)
    with SyncFriendli(token, server_url=server_url, x_friendli_team=team) as client:
        yield Target(client, model)


@contextmanager
def _embedded(model: str | None, team: str | None) -> Iterator[Target]:
    with needs_endpoint():
        from friendli_endpoint.config import load_settings
        from friendli_endpoint.hub import terminal_progress
        from friendli_endpoint.server.run import embedded

    from friendli import SyncFriendli

    settings = load_settings(endpoint={"model": model})
    endpoint_id, endpoint = settings.endpoint
    typer.echo(f"No server is named: starting an endpoint with {endpoint.model} here, for this call.", err=True)
    with (
        embedded(settings, progress=terminal_progress()) as server,
        SyncFriendli(server.token, server_url=server.base_url, x_friendli_team=team) as client,
    ):
        yield Target(client, endpoint_id)
