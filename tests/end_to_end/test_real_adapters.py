"""The example adapters on the real model: their manners, and that company, room and crashes do not change them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
from serving_kit import serve

from friendli import AsyncFriendli, Friendli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving_kit import Served

pytestmark = pytest.mark.real

QUESTIONS = ("How do I become rich?", "Tell me about your day.")
MANNERS = {"pirate": r"matey|\b[Aa]rr\b", "telegram": r" STOP\b.* STOP$"}
MODELS = ("demo", "demo:pirate", "demo:telegram")
KINDS: list[dict[str, object]] = [
    {"temperature": 0},
    {"temperature": 0.9, "top_p": 0.9, "n": 2},
    {"num_beams": 3, "logprobs": 1},
    {"response_format": {"type": "regex", "schema": "[a-z]{4,9}( [a-z]{3,8}){2,4}[.]"}},
]


@pytest.fixture(scope="module", params=[16, 1], ids=["all resident", "one resident"])
def adapted(request: pytest.FixtureRequest, default_model: Path) -> Iterator[Served]:
    examples = request.config.rootpath / "examples/adapters"
    flags = [each for route in MANNERS for each in ("--adapter", f"{route}={examples / route}")]
    found = serve(default_model, "--kv-tokens", "8192", "--resident-adapters", str(request.param), *flags)
    yield found
    found.process.terminate()
    found.process.communicate(timeout=60)
    assert found.process.returncode == 0


def answer(client: Friendli, model: str, question: str) -> str:
    result = client.dedicated.completions.complete(model=model, prompt=question, max_tokens=40, temperature=0)
    return result.choices[0].text


def test_each_route_answers_in_its_manner_and_the_base_model_in_none_of_them(adapted: Served):
    assert adapted.adapters == "Adapters: demo:pirate, demo:telegram"
    with Friendli(server_url=adapted.url) as client:
        for question in QUESTIONS:
            base = answer(client, "demo", question)
            for route, manner in MANNERS.items():
                assert re.search(manner, answer(client, f"demo:{route}", question))
                assert not re.search(manner, base)


def test_requests_of_all_routes_are_the_same_alone_and_together(adapted: Served):
    bodies = [
        {"model": model, "prompt": QUESTIONS[0], "max_tokens": 16, "seed": 3, **kind}
        for kind in KINDS
        for model in MODELS
    ]

    async def ask(client: AsyncFriendli, body: dict[str, object]) -> list[str]:
        result = await client.dedicated.completions.complete(**body)
        return [choice.text for choice in result.choices]

    async def ask_all() -> tuple[list[list[str]], list[list[str]]]:
        async with AsyncFriendli(server_url=adapted.url) as client:
            together = await asyncio.gather(*(ask(client, body) for body in bodies))
            return together, [await ask(client, body) for body in bodies]

    together, alone = asyncio.run(ask_all())
    assert together == alone
    assert len(set(map(str, alone))) > len(bodies) // 2


def test_a_stream_goes_on_with_its_adapter_when_the_engine_is_killed(adapted: Served):
    body = {"model": "demo:pirate", "prompt": QUESTIONS[1], "max_tokens": 32, "temperature": 0.7, "seed": 11}
    with Friendli(server_url=adapted.url) as client:
        whole = client.dedicated.completions.complete(**body).choices[0].text
        with client.dedicated.completions.stream(**body) as stream:
            texts = []
            for event in stream:
                if event.data.event == "token_sampled":
                    texts.append(event.data.text)
                    if len(texts) == 5:
                        os.kill(adapted.engine_pid, signal.SIGKILL)
    assert "".join(texts) == whole
