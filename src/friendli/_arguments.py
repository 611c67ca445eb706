"""From a method's arguments to a call: the body is checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from friendli._settings import CallOptions
from friendli.errors import InvalidRequestError

if TYPE_CHECKING:
    from friendli._call import Call
    from friendli._settings import Settings
    from friendli.models.request import CompletionsBody

    Body = TypeVar("Body", bound=CompletionsBody)


LATER_NAME = "dedicated_completions_body"  # of the body of `complete`, in later releases of the official SDK
_BODIES = frozenset({"dedicated_completions_complete_body", "dedicated_completions_stream_body", LATER_NAME})


def complete_call(settings: Settings, body: object, given: dict[str, object]) -> Call:
    """The call of `complete`; `given` are fields and options together. Raises `InvalidRequestError`."""
    from friendli.models.request import DedicatedCompletionsCompleteBody

    body = given.pop(LATER_NAME) if LATER_NAME in given and body is None else body
    options, fields = _parted(given)
    checked = _checked(DedicatedCompletionsCompleteBody, body, fields)
    return settings.completion(checked, options, stream=False)


def stream_call(settings: Settings, body: object, given: dict[str, object]) -> Call:
    """The call of `stream`; `given` are fields and options together. Raises `InvalidRequestError`."""
    from friendli.models.request import DedicatedCompletionsStreamBody, StreamOptions

    options, fields = _parted(given)
    checked = _checked(DedicatedCompletionsStreamBody, body, fields)
    if checked.stream_options is None:
        # The closing event promises the usage, which the endpoint sends only when asked.
        checked = checked.model_copy(update={"stream_options": StreamOptions(include_usage=True)})
    return settings.completion(checked, options, stream=True)


def _parted(given: dict[str, object]) -> tuple[CallOptions, dict[str, object]]:
    options = {name: value for name, value in given.items() if name in CallOptions.__annotations__}
    fields = {name: value for name, value in given.items() if name not in options}
    return cast("CallOptions", options), fields


def _checked(kind: type[Body], body: object, fields: dict[str, object]) -> Body:
    """The body as a model of `kind`; raises `InvalidRequestError`."""
    from pydantic import BaseModel, ValidationError

    from friendli.models.problems import first_problem

    if misplaced := sorted(_BODIES & fields.keys()):
        raise InvalidRequestError(f"{misplaced[0]} is no argument of this method", field=misplaced[0])
    if body is not None and fields:
        raise InvalidRequestError(f"give the body or its fields as keywords, not both: {', '.join(sorted(fields))}")
    # A model is checked again: its copies and its lists may hold what it did not check.
    said = (
        {**vars(body), **(body.model_extra or {})} if isinstance(body, BaseModel) else fields if body is None else body
    )
    if isinstance(said, Mapping) and not all(isinstance(name, str) for name in said):
        raise InvalidRequestError("the names of the body's fields should be strings")
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        problem = first_problem(error)
        raise InvalidRequestError(problem.message, field=problem.field) from None
