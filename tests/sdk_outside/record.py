"""Records the exchanges in `recorded/` again: `python tests/sdk_outside/record.py`, in the repository's root.

Each shape is recorded twice: the body of the stream, and the body of the same request that is not streamed.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

sys.path.insert(0, str(Path(__file__).parents[2]))  # the bench knows how to make the peer's environment

from outside_kit import PATH, TOKEN, llama_server

from friendli_endpoint import hub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORDED = Path(__file__).with_name("recorded")
FIRST_CLIENT = "speakeasy-sdk/python 0.3.0 2.0.0 0.1.0 friendli"
PROMPT = "naïve café, naïve café, naïve"
BODY = {"model": "demo", "prompt": PROMPT, "max_tokens": 8, "temperature": 0.9, "seed": 7, "n": 2}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@contextmanager
def our_server(model: Path) -> Iterator[str]:
    command = [Path(sys.executable).with_name("friendli"), "serve", "--model", model, "--port", "0"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as server:
        try:
            yield next(word for line in server.stdout or () for word in line.split() if word.startswith("http://"))
        finally:
            server.terminate()


def record(name: str, url: str, body: Mapping[str, object], headers: Mapping[str, str]) -> None:
    for end, more in (("stream", STREAM), ("whole", {})):
        reply = httpx2.post(url, json={**body, **more}, headers=headers, timeout=120, trust_env=False)
        (RECORDED / f"{name}.{end}.txt").write_bytes(reply.raise_for_status().content)


def main() -> None:
    model = hub.resolve("smollm2-135m")
    with our_server(model) as url:
        path = f"{url}/dedicated/v1/completions"
        record("friendli_second", path, {**BODY, "logprobs": 1}, {})
        record("friendli_first", path, BODY, {"user-agent": FIRST_CLIENT})
    with llama_server(model) as llama:
        body = {**BODY, "logprobs": 1}
        record("llama_cpp", llama.url + PATH, body, {"authorization": f"Bearer {TOKEN}"})


if __name__ == "__main__":
    main()
