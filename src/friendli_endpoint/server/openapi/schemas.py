"""The schemas of what is sent and answered, with the bounds of this endpoint beside those of the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from pydantic.json_schema import models_json_schema

from friendli.models import CompletionsBody, CompletionsResult
from friendli_endpoint.engine.vocabulary import MOST_LOGPROBS
from friendli_endpoint.server.endpoint_routes import Endpoint, EndpointList
from friendli_endpoint.server.management import LONGEST_SOURCE, Adapter, AdapterList
from friendli_endpoint.server.order.bounds import MOST_BAD_WORDS, MOST_EOS_TOKENS, MOST_SEQUENCES, MOST_STOP_PHRASES
from friendli_endpoint.usage import UsageReport

if TYPE_CHECKING:
    from friendli_endpoint.server.openapi.parts import Part

_ONE: Final[Part] = {"enum": [1, None], "description": "For encoder-decoder models; this one is decoder-only."}
_BOUNDS: Final[dict[str, Part]] = {
    "stop": {"maxItems": MOST_STOP_PHRASES},
    "stop_tokens": {"maxItems": MOST_SEQUENCES},
    "bad_words": {"maxItems": MOST_BAD_WORDS},
    "bad_word_tokens": {"maxItems": MOST_BAD_WORDS},
    "eos_token": {"maxItems": MOST_EOS_TOKENS},
    "logprobs": {"maximum": MOST_LOGPROBS},
    "encoder_repetition_penalty": _ONE,
    "encoder_no_repeat_ngram": _ONE,
    "model": {"description": "The endpoint's id, or `<endpoint id>:<adapter's route>`."},
}

_SOURCE: Final[Part] = {
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

_ERROR: Final[Part] = {
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


def schemas() -> Part:
    """All of them, by name."""
    _, shown = msgspec.json.schema_components(
        [Adapter, AdapterList, Endpoint, EndpointList, UsageReport], ref_template="#/components/schemas/{name}"
    )
    return {**_of_completions(), **shown, "AdapterSource": _SOURCE, "Error": _ERROR}


def _of_completions() -> dict[str, Part]:
    _, made = models_json_schema(
        [(CompletionsBody, "validation"), (CompletionsResult, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    definitions: dict[str, Part] = made["$defs"]
    body = definitions["CompletionsBody"]
    fields: dict[str, Part] = msgspec.convert(body["properties"], dict[str, dict[str, object]])
    bounded = {name: {**field, **_BOUNDS.get(name, {})} for name, field in fields.items()}
    return {**definitions, "CompletionsBody": {**body, "properties": bounded}}
