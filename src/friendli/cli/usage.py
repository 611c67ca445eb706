"""`friendli usage`: what requests used, from a running server or from the folder where one keeps it."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from friendli.cli.failures import USAGE, explained, fail, needs_endpoint
from friendli.cli.server import ServerUrl, Token  # noqa: TC001
from friendli.cli.terminal import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli.cli.usage_report import Report

USAGE_PATH = "/dedicated/v1/usage"


def usage(
    since: Annotated[
        str | None, typer.Option("--from", help="First day, in UTC, or a moment: 2026-11-01, 2026-11-01T12:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The day or moment after the last one.")] = None,
    by: Annotated[
        str, typer.Option(metavar="KEYS", help="Group by these: team, endpoint, adapter, day.")
    ] = "team,endpoint,adapter",
    team: Annotated[str | None, typer.Option(help="Only this team.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's reply as JSON.")] = False,
    server_url: ServerUrl = None,
    token: Token = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Read what a server keeps in its server.state, running or not."),
    ] = None,
) -> None:
    """Sum up requests and tokens: requests, and tokens of prompts, those of them that were cached, completions, both.

    On a terminal a table with the sum of all, else a line for each group, separated by tabs. The adapter "-" is the
    model itself.

    \b
    Examples:
      friendli usage --server-url http://127.0.0.1:8080 --from 2026-11-01 --by team,day
      friendli usage --state ./state --team acme --json
    """
    if state is not None and (server_url or token):
        raise fail("--state reads a folder; --server-url and --token are for a server: give one of the two", USAGE)
    asked = {"from": since, "to": until, "by": by or None, "team": team, "endpoint": endpoint}
    parameters = {name: value for name, value in asked.items() if value is not None}
    report = _stored(state, parameters) if state else _served(server_url, token, parameters)
    if as_json:
        typer.echo(report.model_dump_json(indent=2, by_alias=True, exclude_unset=True))
    else:
        _print(report)


def _served(server_url: str | None, token: str | None, parameters: Mapping[str, str]) -> Report:
    from friendli.cli.remote import read, remote
    from friendli.cli.usage_report import Report

    with remote(server_url, token) as server:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return read(server.run(server.call("GET", USAGE_PATH + query)), Report, "usage")


def _stored(state: Path, parameters: Mapping[str, str]) -> Report:
    from friendli.cli.usage_report import Report

    with needs_endpoint(), explained():
        import msgspec

        from friendli_endpoint.usage import query_of, report, stored_totals

        query = query_of(parameters.items())
        return Report.model_validate_json(msgspec.json.encode(report(query, stored_totals(state, query))))


def _print(report: Report) -> None:
    if not report.data:
        typer.echo("Nothing was used.", err=True)
    elif sys.stdout.isatty():
        _print_table(report)
    else:
        for total in report.data:
            typer.echo("\t".join([*total.keys(report.by), *map(str, total.sums())]))


def _print_table(report: Report) -> None:
    from friendli.cli.usage_report import NUMBERS

    rows = [[*total.keys(report.by), *map("{:,}".format, total.sums())] for total in report.data]
    if report.by:
        sums = map("{:,}".format, report.total.sums())
        rows.append(["all", *[""] * (len(report.by) - 1), *sums])
    print_table((*report.by, *NUMBERS), rows, numbers=NUMBERS)
