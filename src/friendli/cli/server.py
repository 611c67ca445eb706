"""Which server a command talks to: one that is named, or one that lives for the command alone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import typer

from friendli.cli.failures import USAGE, fail, needs_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from friendli import SyncFriendli

ServerUrl: TypeAlias = Annotated[str | None, typer.Option(help="Where the server is [env: FRIENDLI_SERVER_URL].")]
Token: TypeAlias = Annotated[str | None, typer.Option(help="Token for the server [env: FRIENDLI_TOKEN].")]


class Target(NamedTuple):
    """A client, and what to send as `model`."""

    client: SyncFriendli
    model: str


@contextmanager
def target(
    model: str | None,
    server_url: str | None,
    token: str | None,
    team: str | None,
    adapters: Mapping[str, str] | None = None,
) -> Iterator[Target]:
    """A server is named by its URL, or by a token, which stands for the hosted service.

    `adapters`, source by route, are for an endpoint that is started here.
    """
    named = server_url or token or os.environ.get("FRIENDLI_SERVER_URL") or os.environ.get("FRIENDLI_TOKEN")
    if named and adapters:
        raise fail("--adapter is for an endpoint started here; on a server, use friendli adapters add", USAGE)
    with _named(model, server_url, token, team) if named else _embedded(model, team, adapters) as found:
        yield found


@contextmanager
def _named(model: str | None, server_url: str | None, token: str | None, team: str | None) -> Iterator[Target]:
    from friendli import SyncFriendli

    if model is None:
        raise fail("a server is named, so say which of its endpoints: --model ENDPOINT_ID", USAGE)
    with SyncFriendli(token, server_url=server_url, x_friendli_team=team) as client:
        yield Target(client, model)


@contextmanager
def _embedded(model: str | None, team: str | None, adapters: Mapping[str, str] | None) -> Iterator[Target]:
    with needs_endpoint():
        from friendli_endpoint.config import load_settings
        from friendli_endpoint.hub import terminal_progress
        from friendli_endpoint.server.run import embedded

    from friendli import SyncFriendli

    base, route = _base_and_route(model, adapters or {})
    settings = load_settings(endpoint={"model": base, "adapters": adapters})
    endpoint_id, endpoint = settings.endpoint
    typer.echo(f"No server is named: starting an endpoint with {endpoint.model} here, for this call.", err=True)
    with (
        embedded(settings, progress=terminal_progress()) as server,
        SyncFriendli(server.token, server_url=server.base_url, x_friendli_team=team) as client,
    ):
        yield Target(client, f"{endpoint_id}:{route}" if route else endpoint_id)


def _base_and_route(model: str | None, adapters: Mapping[str, str]) -> tuple[str | None, str | None]:
    """What MODEL:ROUTE means where no server is named; the default endpoint's id stands for the default model."""
    from friendli_endpoint.config import DEFAULT_ENDPOINT

    base, colon, route = (model or "").rpartition(":")
    if not adapters:
        if base == DEFAULT_ENDPOINT:
            raise fail(f"no server is named, so say where the adapter is: --adapter {route}=SOURCE", USAGE)
        return model, None
    if not colon or route not in adapters:
        known = " or ".join(f"{DEFAULT_ENDPOINT}:{name}" for name in adapters)
        raise fail(f"--adapter is given, so say which adapter is to answer: --model {known}", USAGE)
    return None if base == DEFAULT_ENDPOINT else base, route
