"""What the rows of a batch ask for: workloads that differ in their controls alone. None ends before its last token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from friendli_endpoint.engine.vocabulary import Beams, Controls, Grammar, Report, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Prompts: TypeAlias = "list[tuple[int, ...]]"

GREEDY = Controls(temperature=0)
STEERED = Controls(top_p=0.95, min_p=0.05, repetition_penalty=1.1, frequency_penalty=0.2, presence_penalty=0.2)
BANNED = replace(STEERED, no_repeat_ngram=4, bad_words=((28, 339), (1165,)), min_tokens=16)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "role": {"enum": ["admin", "editor", "viewer"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3},
    },
    "required": ["name", "age", "role", "tags"],
}
# Long enough that no row is complete before its tokens are used up.
PEOPLE = Grammar("json_schema", json.dumps({"type": "array", "items": PERSON, "minItems": 40}))
WIDTH = 4


def requests(prompts: Prompts, max_tokens: int, name: str, controls: Controls, **more: object) -> list[Request]:
    return [
        Request(f"{name}-{i}", prompt, (i,), max_tokens, controls=controls, **more)  # type: ignore[arg-type]
        for i, prompt in enumerate(prompts)
    ]


def mixed(prompts: Prompts, max_tokens: int, name: str) -> list[Request]:
    """A quarter of the rows each: greedy, steered, beams, under a grammar."""
    quarter = len(prompts) // 4
    parts = [prompts[i * quarter :][:quarter] for i in range(4)]
    return [
        *requests(parts[0], max_tokens, f"{name}-greedy", GREEDY),
        *requests(parts[1], max_tokens, f"{name}-steered", STEERED),
        *requests(parts[2][: quarter // WIDTH], max_tokens, f"{name}-beams", Controls(), beams=Beams(WIDTH)),
        *requests(parts[3], max_tokens, f"{name}-grammar", Controls(grammar=PEOPLE)),
    ]


WORKLOADS: Mapping[str, Callable[[Prompts, int, str], list[Request]]] = {
    "greedy": lambda p, m, n: requests(p, m, n, GREEDY),
    "temperature 1": lambda p, m, n: requests(p, m, n, Controls()),
    "top-p 0.95": lambda p, m, n: requests(p, m, n, Controls(top_p=0.95)),
    "penalties, top-p, min-p, seed": lambda p, m, n: requests(p, m, n, STEERED),
    "the same, n-gram ban, bad words, min_tokens": lambda p, m, n: requests(p, m, n, BANNED),
    "greedy, logprobs 5": lambda p, m, n: requests(p, m, n, GREEDY, report=Report(logprobs=5)),
    "a JSON schema": lambda p, m, n: requests(p, m, n, Controls(grammar=PEOPLE)),
    "4 beams x a quarter of the requests": lambda p, m, n: requests(
        p[: len(p) // WIDTH], m, n, Controls(), beams=Beams(WIDTH)
    ),
    "stochastic beams, the same": lambda p, m, n: requests(
        p[: len(p) // WIDTH], m, n, Controls(), beams=Beams(WIDTH, "STOCHASTIC")
    ),
    "a mix: greedy, steered, beams, schema": mixed,
}
