"""From an error to one line on standard error and an exit code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
USAGE = 2


def fail(sentence: str, code: int = FAILED) -> typer.Exit:
    """Print the sentence; what is returned is to be raised."""
    line = " ".join(sentence.split())  # a library's message within it may have several lines
    typer.echo(f"friendli: {line}", err=True)
    return typer.Exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """End the command with a sentence for every error that is raised on purpose in the body."""
    from friendli.errors import InvalidRequestError, SDKError
    from friendli_endpoint.errors import EndpointError

    try:
        yield
    except InvalidRequestError as error:
        raise fail(str(error), USAGE) from error
    except (SDKError, EndpointError) as error:
        raise fail(str(error)) from error


@contextmanager
def needs_endpoint() -> Iterator[None]:
    """For the imports of the endpoint: without its packages, say how to get them."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in {"friendli", "friendli_endpoint"}:
            raise
        raise fail(
            f"running an endpoint here needs more packages ({error.name} is missing): "
            "pip install 'friendli[cli,endpoint]'",
            USAGE,
        ) from error
