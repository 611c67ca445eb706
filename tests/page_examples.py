"""The two documented examples, word for word but for the ids; token and address come from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

COMPLETE = """
from friendli import Friendli
import os

s = Friendli(
    token=os.getenv("FRIENDLI_TOKEN", ""),
)

res = s.dedicated.completions.complete(dedicated_completions_complete_body={
    "prompt": "Say this is a test!",
    "model": "<endpoint-id>:<adapter-route>",
    "max_tokens": 200,
    "top_k": 1,
})

if res is not None:
    # handle response
    pass
"""

STREAM = """
from friendli import Friendli
import os

s = Friendli(
    token=os.getenv("FRIENDLI_TOKEN", ""),
)

res = s.dedicated.completions.stream(dedicated_completions_stream_body={
    "prompt": "Say this is a test!",
    "model": "<endpoint-id>:<adapter-route>",
    "max_tokens": 200,
    "top_k": 1,
})

if res is not None:
    for event in res:
        # handle event
        print(event, flush=True)
"""


def run(example: str, model: str, url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run an example against a server and return its names."""
    monkeypatch.setenv("FRIENDLI_SERVER_URL", url)
    names: dict[str, object] = {}
    text = example.replace("<endpoint-id>:<adapter-route>", model)
    exec(compile(text, "example", "exec"), names)  # noqa: S102 - the text above
    return names
