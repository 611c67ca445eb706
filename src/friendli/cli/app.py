"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from friendli.cli import adapters, complete, endpoints, models, serve, token, top, usage

app = typer.Typer(
    help="Text from a prompt, by a Friendli dedicated endpoint: one that you name, or one that runs right here.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or a missing package, 130 ended by Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("complete")(complete.complete)
app.command("serve")(serve.serve)
app.command("top")(top.top)
app.command("usage")(usage.usage)
app.add_typer(adapters.app, name="adapters")
app.add_typer(endpoints.app, name="endpoints")
app.add_typer(models.app, name="models")
app.add_typer(token.app, name="token")


def _print_version(wanted: bool = True) -> None:
    if wanted:
        from friendli._version import VERSION

        typer.echo(f"friendli {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command("version")
def _version() -> None:
    """Print the version."""
    _print_version()
