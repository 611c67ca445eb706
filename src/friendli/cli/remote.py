"""Calls of a running server other than completions, over the SDK's own call life."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from friendli._answers import JSON, expect_content, mismatch
from friendli._call import as_it_is
from friendli._settings import Settings
from friendli._transport import SyncTransport
from friendli.cli.failures import USAGE, explained, fail
from friendli.models.response import Lenient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from friendli._call import Call, Reply
    from friendli._settings import CallOptions

Answer = TypeVar("Answer", bound=Lenient)


@dataclass(frozen=True)
class Remote:
    """A server that is asked; every method raises `SDKError`."""

    settings: Settings
    transport: SyncTransport

    def call(self, method: str, path: str, body: bytes = b"", options: CallOptions | None = None) -> Call:
        """What `run` takes."""
        return self.settings.call(body, options or {}, method=method, path=path)

    def run(self, call: Call) -> Reply:
        """The answer, which is a good one."""
        return self.transport.run(call, as_it_is)


@contextmanager
def remote(server_url: str | None, token: str | None) -> Iterator[Remote]:
    """The server, with errors explained; None leaves the address or the token to the environment.

    The hosted service has no such calls, so a server must be named.
    """
    if not (server_url or os.environ.get("FRIENDLI_SERVER_URL")):
        raise fail("say which server: --server-url http://127.0.0.1:8080, or FRIENDLI_SERVER_URL", USAGE)
    with explained():
        transport = SyncTransport()
        try:
            yield Remote(Settings.of(token, {"server_url": server_url}), transport)
        finally:
            transport.close()


def read(reply: Reply, kind: type[Answer], what: str) -> Answer:
    """The body of an answer, which describes `what`."""
    expect_content(reply, JSON)
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError as error:
        raise mismatch(reply, f"the answer does not describe {what}") from error


def segment(name: str) -> str:
    """`name` as one segment of a path; dots are written out, because `..` alone would mean the segment before."""
    return quote(name, safe="").replace(".", "%2E")
