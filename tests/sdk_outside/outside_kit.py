"""Starts llama.cpp's server, and asks it what no completion tells."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from bench.environments import peer_python

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("llama_server.py")
TOKEN = "flp_outside"
PATH = "/v1/completions"


@dataclass(frozen=True)
class Llama:
    """llama.cpp's server at `url`; it takes `TOKEN`."""

    url: str

    def busy(self) -> int:
        """How many slots are generating now."""
        return sum(slot["is_processing"] for slot in self._get("/slots").json())

    def generated(self) -> int:
        """How many tokens the requests that ended by themselves have got in all."""
        found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", self._get("/metrics").text, re.MULTILINE)
        assert found
        return int(found[1])

    def _get(self, path: str) -> httpx2.Response:
        reply = httpx2.get(self.url + path, headers={"authorization": f"Bearer {TOKEN}"}, timeout=20, trust_env=False)
        return reply.raise_for_status()


@contextmanager
def llama_server(model: Path) -> Iterator[Llama]:
    """On a free port of the loopback, for as long as the block lasts."""
    command = [peer_python("xllamacpp"), SCRIPT, model]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Llama(process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
