"""Makes what schemathesis thinks up lead somewhere: most of it names the endpoint that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import schemathesis
from schemathesis.generation import GenerationMode

if TYPE_CHECKING:
    from schemathesis import Case, HookContext

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHARE: Final = 8
"""Of so many cases one keeps the name that it has."""


@schemathesis.hook
def before_call(ctx: HookContext, case: Case, kwargs: object) -> None:
    """A name that is good but for there being nothing called so becomes that of what is there."""
    if _kept(case):
        return
    named = case.path_parameters.get("endpoint_id")
    if isinstance(named, str) and _NAME.fullmatch(named):
        case.path_parameters["endpoint_id"] = "demo"
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and case.body["model"]:
        case.body = _good(case.body) if _is_positive(case) else {**case.body, "model": "demo"}


def _good(body: dict[str, object]) -> dict[str, object]:
    """One prompt, and none of what contradicts it."""
    prompt = body.get("prompt") or "Hi"
    return {name: value for name, value in body.items() if name != "tokens"} | {"model": "demo", "prompt": prompt}


def _is_positive(case: Case) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def _kept(case: Case) -> bool:
    return ord(case.id[-1]) % _SHARE == 0
