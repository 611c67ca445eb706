"""`friendli models`: which models there are, and fetching one ahead of time."""

from __future__ import annotations

from typing import Annotated

import typer

from friendli.cli.failures import explained, needs_endpoint

app = typer.Typer(help="List and fetch models.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models() -> None:
    """List the known models and those in the cache: name, size, place, what it is; separated by tabs.

    \b
    Examples:
      friendli models list
      friendli models list | cut -f1
    """
    with needs_endpoint(), explained():
        from friendli_endpoint import hub

        for entry in hub.catalog():
            place = str(entry.path) if entry.path else "not fetched yet"
            typer.echo("\t".join([entry.name, f"{entry.size / 1e6:,.0f} MB", place, entry.about]))


@app.command("pull")
def pull(name: Annotated[str, typer.Argument(help="A known name, or a hub id (org/name).")]) -> None:
    """Fetch a model into the cache, unless it is there, and print its path.

    The cache is ~/.cache/friendli; FRIENDLI_CACHE moves it.

    \b
    Examples:
      friendli models pull smollm2-135m
      friendli models pull HuggingFaceTB/SmolLM2-360M-Instruct
    """
    with needs_endpoint(), explained():
        from friendli_endpoint import hub

        typer.echo(hub.resolve(name, progress=hub.terminal_progress()))
