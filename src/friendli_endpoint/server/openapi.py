"""GET /openapi.json: the interface, made from the models that validate and answer."""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec
from pydantic.json_schema import models_json_schema

from friendli.models import CompletionsBody, CompletionsResult
from friendli_endpoint.server.errors import send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_ERRORS = {
    "400": "The body is not JSON.",
    "401": "A token is missing or not valid.",
    "404": "The endpoint or adapter that `model` names is not here.",
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "415": "The body is not sent as JSON.",
    "422": "A field is wrong; `field` names it.",
    "429": "There is no room; Retry-After says when to come back. Or `timeout_microseconds` passed: type `timeout`.",
    "431": "The headers are too large.",
    "500": "The server failed.",
    "503": "The server is starting or stopping, or the engine failed; Retry-After says when to come back.",
}

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "field", "request_id"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "field": {"type": ["string", "null"], "description": "Dotted path of the field at fault."},
                "request_id": {"type": "string"},
            },
        }
    },
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
    _, definitions = models_json_schema(
        [(CompletionsBody, "validation"), (CompletionsResult, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Friendli dedicated endpoint", "version": version("friendli")},
        "paths": {
            "/dedicated/v1/completions": {"post": _completions()},
            "/health": {"get": _probe("health", "Whether the server is alive.")},
            "/ready": {"get": _probe("ready", "Whether a request would be taken now.", "503")},
        },
        "components": {
            "schemas": {**definitions["$defs"], "Error": _ERROR_SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _completions() -> dict[str, object]:
    result = {
        "description": "The completion: as JSON, or with `stream: true` as server-sent events that end with [DONE].",
        "content": {
            "application/json": {"schema": _ref("CompletionsResult")},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
    return {
        "operationId": "dedicatedCompletionsComplete",
        "summary": "Continue a prompt.",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("CompletionsBody")}}},
        "responses": {"200": result, **_errors(*_ERRORS)},
    }


def _probe(name: str, summary: str, *statuses: str) -> dict[str, object]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": "Yes."}, **_errors(*statuses)},
    }


def _errors(*statuses: str) -> dict[str, object]:
    content = {"application/json": {"schema": _ref("Error")}}
    return {status: {"description": _ERRORS[status], "content": content} for status in statuses}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
