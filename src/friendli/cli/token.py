"""`friendli token`: who may use the endpoints that are served here."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from friendli.cli.expiry import expiry_of
from friendli.cli.failures import USAGE, explained, fail, needs_endpoint
from friendli.cli.terminal import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli_endpoint.access import Token, TokenStore

app = typer.Typer(
    help="Create, list and revoke the tokens of the endpoints that run here.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

State: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the server keeps its state [default: FRIENDLI_STATE, or ~/.local/share/friendli].",
    ),
]


class ScopeName(StrEnum):
    """What a token can be good for, as an option's choices."""

    COMPLETE = "complete"
    ADMIN = "admin"
    METRICS = "metrics"


@app.command("create")
def create(
    name: Annotated[str, typer.Option(help="A note for people, shown in the list.")] = "",
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help="What it is good for; may be repeated [default: complete]. An admin's is good for all."),
    ] = None,
    team: Annotated[
        list[str] | None,
        typer.Option(help="A team that it may run as, the first if a request names none [default: default]."),
    ] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="An endpoint that it is good for [default: all]; may be repeated.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="30d|2031-12-31", help="Days from now, or its last day (UTC).")
    ] = None,
    state: State = None,
) -> None:
    """Create a token and print it, once: only a hash of it is kept.

    A running server takes it from the next request on. An admin's token without --team is good for every team.

    \b
    Examples:
      friendli token create --name ci --expires 30d
      friendli token create --scope admin
      friendli token create --scope complete --scope metrics --team acme --endpoint demo
      export FRIENDLI_TOKEN=$(friendli token create --name me)
    """
    until = _until(expires)
    with _store(state) as store:
        text, token = store.create(
            name=name, scopes=scope or [ScopeName.COMPLETE], teams=team or [], endpoints=endpoint or [], expires=until
        )
    typer.echo(text)
    typer.echo(
        f"friendli: this is the only time that the token is shown. {token.prefix}: {_scopes(token)}; "
        f"teams: {_teams(token)}; endpoints: {_endpoints(token)}; until: {_until_day(token, 'revoked')}. "
        f"Its hash is in {store.folder}.",
        err=True,
    )


@app.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are in Unix seconds.")] = False,
    state: State = None,
) -> None:
    """List every token that was created: what it is good for, whether it still is, the day it was last used.

    \b
    Examples:
      friendli token list
      friendli token list --json
    """
    with _store(state) as store:
        tokens = store.all()
    if as_json:
        import msgspec

        typer.echo(json.dumps(msgspec.to_builtins(tokens), indent=2))
    elif tokens:
        _print_table(tokens)
    else:
        typer.echo("No token has been created.", err=True)


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="PREFIX", help="What the list shows of it, or the whole token.")],
    state: State = None,
) -> None:
    """Make a token useless, for ever; a running server refuses it from the next request on.

    \b
    Examples:
      friendli token revoke flp_Ab3dE6gH
    """
    with _store(state) as store:
        revoked = store.revoke(token)
    typer.echo(shown(f"Revoked {revoked.prefix} {revoked.name}".rstrip()))


@contextmanager
def _store(folder: Path | None) -> Iterator[TokenStore]:
    with needs_endpoint():
        from friendli_endpoint.access import TokenStore
        from friendli_endpoint.config.state import default_state
    with explained(), closing(TokenStore.open(folder or default_state())) as store:
        yield store


def _until(expires: str | None) -> int | None:
    try:
        return None if expires is None else expiry_of(expires, datetime.now(UTC))
    except ValueError as error:
        raise fail(f"--expires: {error}", USAGE) from error


def _scopes(token: Token) -> str:
    return " ".join(token.scopes)


def _teams(token: Token) -> str:
    return " ".join(token.teams) or "all"


def _endpoints(token: Token) -> str:
    return " ".join(token.endpoints) or "all"


def _until_day(token: Token, never: str) -> str:
    return never if token.expires is None else _day(token.expires - 1)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _state(token: Token) -> str:
    if token.good_at(time.time()):
        return "good"
    return "revoked" if token.revoked is not None else "expired"


def _print_table(tokens: list[Token]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    titles = ("token", "state", "scopes", "teams", "endpoints", "until", "last used", "name")
    table = Table(*titles, box=None, pad_edge=False, header_style="bold")
    for one in tokens:
        days = (_until_day(one, "-"), "-" if one.last_used is None else _day(one.last_used))
        cells = (one.prefix, _state(one), _scopes(one), _teams(one), _endpoints(one), *days, one.name)
        table.add_row(*(Text(shown(cell), overflow="fold") for cell in cells))
    # What is no terminal has no width: a script gets one line for each token.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
