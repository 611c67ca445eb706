"""GET /openapi.json: the interface, made from the models that validate and answer."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from pydantic.json_schema import models_json_schema

from friendli._version import VERSION
from friendli.models import CompletionsBody, CompletionsResult
from friendli_endpoint.server.errors import send_json
from friendli_endpoint.server.management import LONGEST_SOURCE, Adapter, AdapterList

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_ERRORS = {
    "400": "The body is not JSON.",
    "401": "A token is missing or not valid.",
    "403": "The token is not an admin's.",
    "404": "The endpoint or adapter that `model` or the path names is not here.",
    "408": "The body came too slowly.",
    "409": "There are as many adapters as are allowed.",
    "413": "The body is too large.",
    "415": "The body is not sent as JSON.",
    "422": "A field is wrong; `field` names it.",
    "429": "There is no room; Retry-After says when to come back. Or `timeout_microseconds` passed: type `timeout`.",
    "431": "The headers are too large.",
    "500": "The server failed.",
    "503": "The server is starting or stopping, or the engine failed; Retry-After says when to come back.",
}

_REFUSALS = ("401", "403", "404", "431", "500", "503")  # what every call about adapters can meet
_BODY_REFUSALS = ("400", "408", "413", "415", "422")

_SOURCE_SCHEMA = {
    "type": "object",
    "required": ["source"],
    "additionalProperties": False,
    "properties": {
        "source": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_SOURCE,
            "description": "A path on the server's machine, or a hub id.",
        }
    },
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
    _, adapters = msgspec.json.schema_components([Adapter, AdapterList], ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Friendli dedicated endpoint", "version": VERSION},
        "paths": {
            "/dedicated/v1/completions": {"post": _completions()},
            "/dedicated/v1/endpoints/{endpoint_id}/adapters": _adapters(),
            "/dedicated/v1/endpoints/{endpoint_id}/adapters/{route}": _adapter(),
            "/health": {"get": _probe("health", "Whether the server is alive.")},
            "/ready": {"get": _probe("ready", "Whether a request would be taken now.", "503")},
        },
        "components": {
            "schemas": {**definitions["$defs"], **adapters, "AdapterSource": _SOURCE_SCHEMA, "Error": _ERROR_SCHEMA},
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
        "responses": {
            "200": result,
            **_errors("400", "401", "404", "408", "413", "415", "422", "429", "431", "500", "503"),
        },
    }


def _adapters() -> dict[str, object]:
    found = _answer("The adapters, by route.", "AdapterList")
    return {
        "parameters": [_parameter("endpoint_id")],
        "get": _admin("listAdapters", "List the adapters.", {"200": found, **_errors(*_REFUSALS)}),
    }


def _adapter() -> dict[str, object]:
    found = _answer("The adapter.", "Adapter")
    put = {
        "201": _answer("The route is new.", "Adapter"),
        "200": _answer("The route's adapter is replaced.", "Adapter"),
    }
    gone = {"204": {"description": "The route is gone, and no request uses its adapters any more."}}
    body = {"required": True, "content": {"application/json": {"schema": _ref("AdapterSource")}}}
    return {
        "parameters": [_parameter("endpoint_id"), _parameter("route")],
        "get": _admin("getAdapter", "Show an adapter.", {"200": found, **_errors(*_REFUSALS)}),
        "put": {
            **_admin(
                "putAdapter",
                "Give a route an adapter; requests that run keep the one that they have.",
                {**put, **_errors(*_REFUSALS, *_BODY_REFUSALS, "409", "429")},
            ),
            "requestBody": body,
        },
        "delete": _admin(
            "deleteAdapter", "Take a route away, once its requests have ended.", {**gone, **_errors(*_REFUSALS, "429")}
        ),
    }


def _admin(name: str, summary: str, responses: dict[str, object]) -> dict[str, object]:
    return {"operationId": name, "summary": summary, "security": [{"token": []}], "responses": responses}


def _answer(description: str, schema: str) -> dict[str, object]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _parameter(name: str) -> dict[str, object]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


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
