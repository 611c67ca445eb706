"""How what watches a server is described: usage, metrics, probes, and the description itself."""

from __future__ import annotations

from typing import Final

from friendli_endpoint.server.openapi.parts import Part, answer, json_of, operation
from friendli_endpoint.usage import KEYS

_MOMENT: Final[Part] = {
    "type": "string",
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
    "examples": ["2026-11-01", "2026-11-01T12:00:00Z"],
}
_NAME: Final[Part] = {"type": "string", "minLength": 1}
_TEXT: Final[Part] = {"schema": {"type": "string"}}


def watching_paths() -> Part:
    """The paths that change nothing."""
    metrics = answer("In the form that Accept asks for.", {"text/plain": _TEXT, "application/openmetrics-text": _TEXT})
    described = answer("An OpenAPI 3.1 document.", {"application/json": {"schema": {"type": "object"}}})
    return {
        "/dedicated/v1/usage": {"get": _usage()},
        "/metrics": {"get": operation("metrics", "What Prometheus reads.", "metrics", {"200": metrics})},
        "/openapi.json": {"get": operation("describe", "This document.", "token", {"200": described})},
        "/health": {"get": _probe("health", "Whether the server is alive.", "ok")},
        "/ready": {"get": _probe("ready", "Whether a request would be taken now.", "ready", "503")},
    }


def _usage() -> Part:
    parameters = (
        _query("from", "Requests that started then or later.", _MOMENT),
        _query("to", "Requests that started earlier.", _MOMENT),
        {**_query("by", "What to group by, each at most once.", _KEYS), "style": "form", "explode": False},
        _query("team", "One team's alone; another than the token's own is an admin's to ask.", _NAME),
        _query("endpoint", "One endpoint's alone.", _NAME),
    )
    summed = {"200": answer("The sums of the requests that have ended.", json_of("UsageReport"))}
    return operation("usage", "Sum what requests used.", "token", summed, "503", parameters=parameters)


_KEYS: Final[Part] = {"type": "array", "items": {"enum": list(KEYS)}, "uniqueItems": True}


def _query(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _probe(name: str, summary: str, status: str, *refusals: str) -> Part:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"const": status}}}
    yes = {"200": answer("Yes.", {"application/json": {"schema": schema}})}
    return operation(name, summary, "nothing", yes, *refusals)
