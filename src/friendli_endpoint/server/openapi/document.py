"""The whole document: every path with its operations, and the schemas that they name."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from friendli._version import VERSION
from friendli_endpoint.server.errors import send_json
from friendli_endpoint.server.openapi.adapters import adapter_paths
from friendli_endpoint.server.openapi.completions import completions_paths
from friendli_endpoint.server.openapi.endpoints import endpoint_paths
from friendli_endpoint.server.openapi.schemas import schemas
from friendli_endpoint.server.openapi.watching import watching_paths

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of the server's settings, or one of `friendli token create`. Its scopes say what it is "
    "good for: `complete`, `metrics`, or `admin`, which is good for everything; an operation that names none takes any "
    "token. A server without tokens listens on loopback alone and asks for none.",
}


class OpenApi:
    """Serves the document, made once at the first call."""

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(describe())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, self._document)


def describe() -> dict[str, object]:
    """The OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Friendli dedicated endpoint", "version": VERSION},
        "paths": {**completions_paths(), **endpoint_paths(), **adapter_paths(), **watching_paths()},
        "components": {"schemas": schemas(), "securitySchemes": {"token": _TOKEN}},
    }
