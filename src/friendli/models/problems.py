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
    field = ".".join(str(part) for part in failure["loc"])[:_LONGEST_FIELD]
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
    if len(failure["loc"]) > 1 and top in _UNIONS:
        return Problem(top, f"{top} {_UNIONS[top]}")
    advice = failure["msg"].removeprefix("Input ")
    return Problem(field or None, f"{field or 'the body'}: {advice[:1].lower()}{advice[1:]}")


def _unknown(field: str, *, at_top: bool) -> str:
    near = get_close_matches(field, CompletionsBody.model_fields, n=1) if at_top else []
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown field {field!r}{hint}"
