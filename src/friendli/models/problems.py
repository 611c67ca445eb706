"""Says in one sentence what is wrong with a body, for the client before it sends and for the endpoint's 422."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from friendli.models.request import CompletionsBody

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

# A union reports one failure per member; the sentence of the whole is clearer.
_UNIONS = {
    "prompt": "should be a string or a non-empty list of strings",
    "seed": "should be an integer from 0 to 2^64 - 1, or a non-empty list of them",
}

_EXAMPLES = {
    "stop_tokens": ', such as {"tokens": [30]}',
    "bad_word_tokens": ', such as {"tokens": [30]}',
    "stream_options": ', such as {"include_usage": true}',
    "response_format": ', such as {"type": "json_object"}',
}

_LONGEST_FIELD = 100  # a name that the caller made up need not come back whole


class Problem(NamedTuple):
    """`field` is the dotted path in the body, None when the body as a whole is wrong; `message` names the field too."""

    field: str | None
    message: str


def first_problem(error: ValidationError) -> Problem:
    """The most telling failure of a validated `CompletionsBody`; never quotes what was given."""
    failures = error.errors(include_url=False, include_context=True, include_input=False)
    unknown = [failure for failure in failures if failure["type"] == "extra_forbidden"]
    return _described((unknown or failures)[0])


def _described(failure: ErrorDetails) -> Problem:
    field = ".".join(_path(failure["loc"]))[:_LONGEST_FIELD]
    top = str(failure["loc"][0]) if failure["loc"] else ""
    match failure["type"]:
        case "extra_forbidden":
            return Problem(field, _unknown(field, at_top=len(failure["loc"]) == 1))
        case "missing":
            return Problem(field, f"{field} must be given")
        case "rule":
            return Problem(field, failure["msg"])
        case "surrogates":
            return Problem(top, f"{top} {failure['msg']}")
        case "union_tag_not_found" | "union_tag_invalid":
            return Problem(f"{field}.type", f"{field}.type should be text, json_object, json_schema or regex")
        case "literal_error" if field == "stream":
            return Problem(field, "stream is set by the method: complete gives a result, stream gives events")
        case "list_type":
            return Problem(field, f"{field} should be a list, also of a single item")
        case "model_type" | "model_attributes_type" if field:
            return Problem(field, f"{field} should be an object{_EXAMPLES.get(top, '')}")
    if len(failure["loc"]) > 1 and top in _UNIONS:
        return Problem(top, f"{top} {_UNIONS[top]}")
    advice = failure["msg"].removeprefix("Input ")
    return Problem(field or None, f"{field or 'the body'}: {advice[:1].lower()}{advice[1:]}")


def _path(loc: tuple[int | str, ...]) -> list[str]:
    """The place in the body; pydantic names the chosen kind of a `response_format`, too, which is no part of it."""
    parts = [str(part) for part in loc]
    return parts[:1] + parts[2:] if parts[:1] == ["response_format"] and len(parts) > 1 else parts


def _unknown(field: str, *, at_top: bool) -> str:
    near = get_close_matches(field, CompletionsBody.model_fields, n=1) if at_top else []
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown field {field!r}{hint}"
