"""How completions are described."""

from __future__ import annotations

from typing import Final

from friendli_endpoint.server.openapi.parts import Part, answer, json_of, operation

_KEY: Final[Part] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "One generation per key and team: a repeat gets the same answer, another body 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_EVENT: Final[Part] = {
    "type": "object",
    "description": "One event: a token, the end of a choice, the usage if asked for; the last is [DONE], or an error.",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "JSON, or [DONE]."}},
}
_RESULT: Final = answer(
    "The completion: as JSON, or with `stream: true` as server-sent events.",
    {**json_of("CompletionsResult"), "text/event-stream": {"schema": _EVENT}},
)


def completions_paths() -> Part:
    """The path of completions."""
    post = operation(
        "dedicatedCompletionsComplete",
        "Continue a prompt.",
        "complete",
        {"200": _RESULT},
        *("404", "429", "503"),
        parameters=(_KEY,),
        body="CompletionsBody",
    )
    return {"/dedicated/v1/completions": {"post": post}}
