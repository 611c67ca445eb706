"""What descriptions of operations are put together from: who may, parameters, answers and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli_endpoint.server.doors import Need

Part: TypeAlias = "Mapping[str, object]"

NAME_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_REFUSALS: Final = {
    "401": "A token is missing or not valid.",
    "403": "The token is not good for this: its scope, endpoints or teams; or a web page asks.",
    "404": "There is no endpoint or adapter that is called so.",
    "408": "The body came too slowly.",
    "409": "Not as things are now: the endpoint is busy or in another state, or there are as many adapters as may be.",
    "413": "The body is too large.",
    "415": "The body is not sent as JSON, or compressed.",
    "422": "A field, parameter or header is wrong; `field` names it.",
    "429": "There is no room; Retry-After says when to come back. Or `timeout_microseconds` passed: type `timeout`, "
    "x-should-retry false.",
    "431": "The headers are too large.",
    "500": "The server failed.",
    "503": "The server or the endpoint is starting, stopping or has failed; Retry-After says when to come back.",
}
_OF_BODIES: Final = ("408", "413", "415", "422")
_ANYBODY: Final = ("431", "500")
_GUARDED: Final = ("401", "403", "422", *_ANYBODY)

_REQUEST_ID: Final[Part] = {
    "x-request-id": {
        "description": "The server's name for the request; leads to its log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req-[0-9a-f]{32}$"},
    }
}
_SECONDS: Final[Part] = {"description": "In how many seconds.", "schema": {"type": "integer", "minimum": 1}}
_HEADERS: Final[dict[str, Part]] = {
    "401": {"www-authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    "429": {"retry-after": _SECONDS, "x-should-retry": {"schema": {"const": "false"}}},
    "503": {"retry-after": {**_SECONDS, "required": True}},
}

_TEAM: Final[Part] = {
    "name": "X-Friendli-Team",
    "in": "header",
    "description": "The team that the request runs as, one of the token's; by default its first.",
    "schema": {"type": "string", "pattern": NAME_PATTERN},
}
_OWN_REQUEST_ID: Final[Part] = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "The client's own name for the request, of which up to 128 printable characters go into the log.",
    "schema": {"type": "string"},
}


def operation(
    name: str,
    summary: str,
    need: Need,
    answers: Part,
    *refusals: str,
    parameters: tuple[Part, ...] = (),
    body: str | None = None,
) -> Part:
    """An operation. `refusals` are statuses beside those that every request can meet, `body` is its JSON's schema."""
    guarded = need != "nothing"
    statuses = sorted({*refusals, *(_GUARDED if guarded else _ANYBODY), *(_OF_BODIES if body else ())})
    return {
        "operationId": name,
        "summary": summary,
        "security": _security(need),
        "parameters": [*parameters, *([_TEAM] if guarded else []), _OWN_REQUEST_ID],
        **({"requestBody": {"required": True, "content": json_of(body)}} if body else {}),
        "responses": {
            **answers,
            "400": _malformed(body),
            **{status: _refusal(status) for status in statuses},
        },
    }


def answer(description: str, content: Part | None = None) -> Part:
    """A good answer."""
    described: Part = {"description": description, "headers": _REQUEST_ID}
    return described if content is None else {**described, "content": content}


def json_of(schema: str) -> Part:
    """Content that is JSON of a schema."""
    return {"application/json": {"schema": reference(schema)}}


def in_path(name: str) -> Part:
    """A parameter that is a name in the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": NAME_PATTERN}}


def reference(name: str) -> Part:
    """Where a schema is."""
    return {"$ref": f"#/components/schemas/{name}"}


def _security(need: Need) -> list[Part]:
    match need:
        case "nothing":
            return []
        case "token":
            return [{"token": []}]
        case scope:
            return [{"token": [scope]}]


def _refusal(status: str) -> Part:
    return {
        "description": _REFUSALS[status],
        "headers": {**_REQUEST_ID, **_HEADERS.get(status, {})},
        "content": json_of("Error"),
    }


def _malformed(body: str | None) -> Part:
    """What is no HTTP is answered by the parser, in plain text and without a request id."""
    plain: Part = {"text/plain": {"schema": {"type": "string"}}}
    if body is None:
        return {"description": "The request is no HTTP.", "content": plain}
    return {"description": "The body is not JSON, or the request no HTTP.", "content": {**json_of("Error"), **plain}}
