"""A mixed load: users that each ask one thing after the other, of every kind, and say what went wrong."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx2

from friendli_endpoint.model.sizes import size_for

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = "/dedicated/v1/completions"
_CANCELLED: Final = 0.1
_FILLS: Final = 4
_FILL_TOKENS: Final = 768
_LONGEST_FORWARD: Final = 512
_MOST_ROWS: Final = 24
_PERSON: Final = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
KINDS: Final[Mapping[str, dict[str, object]]] = {
    "stream": {"stream": True},
    "plain": {},
    "n": {"n": 2},
    "logprobs": {"logprobs": 3, "stream": True},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"schema": _PERSON}}},
    "adapter": {"model": "demo:pirate", "stream": True},
    "repeated": {},
    "bad": {},
}
"""What each kind adds to a body; `repeated` is asked twice with one key, a `bad` one has to be refused."""
_BAD: Final = ({"max_tokens": -1}, {"temperature": "hot"}, {"model": "nobody"}, {"tokens": [10**9]}, {"top_p": 7})
_WORDS: Final = ("the", "sea", "at", "night", "holds", "more", "light", "than", "any", "lamp", "that", "people")


@dataclass
class Tally:
    """What has been asked, by kind, and what was answered otherwise than it should be."""

    asked: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


async def fill(url: str) -> None:
    """Have used every block of a small KV cache once: memory is given when it is first written."""
    await _ask(url, [{"tokens": [100 + number] * _FILL_TOKENS} for number in range(_FILLS)])


async def meet_sizes(url: str) -> None:
    """Have computed forwards of every size that the load may have, with and without an adapter: each takes memory."""
    sizes = sorted({size_for(count) for count in range(2, _LONGEST_FORWARD)})
    for model in ("demo", "demo:pirate"):
        await _ask(url, [{"model": model, "tokens": [size] * size} for size in sizes])
        rows = {"model": model, "prompt": "x", "max_tokens": 3, "min_tokens": 3}
        await _ask(url, [rows | {"n": n} for n in range(1, _MOST_ROWS)])


async def _ask(url: str, bodies: list[dict[str, object]]) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=300) as client:
        for body in bodies:
            reply = await client.post(PATH, json={"model": "demo", "max_tokens": 1} | body)
            reply.raise_for_status()


async def load(url: str, users: int, seconds: float, tally: Tally) -> None:
    """Keep `users` busy for so long."""
    until = time.monotonic() + seconds
    await asyncio.gather(*(_user(url, number, until, tally) for number in range(users)))


async def _user(url: str, number: int, until: float, tally: Tally) -> None:
    rng = random.Random(number)  # noqa: S311  not for security
    async with httpx2.AsyncClient(base_url=url, timeout=300) as client:
        while time.monotonic() < until:
            kind = rng.choice(list(KINDS))
            tally.asked[kind] += 1
            if rng.random() < _CANCELLED:
                tally.asked["cancelled"] += 1
                await _cancelled(client, rng, kind)
            elif trouble := await _trouble(client, rng, kind):
                tally.failed.append(f"{kind}: {trouble}")


async def _cancelled(client: httpx2.AsyncClient, rng: random.Random, kind: str) -> None:
    asking = asyncio.create_task(client.post(PATH, json=_body(rng, kind)))
    await asyncio.wait({asking}, timeout=rng.expovariate(4))
    asking.cancel()
    await asyncio.wait({asking})


async def _trouble(client: httpx2.AsyncClient, rng: random.Random, kind: str) -> str | None:
    """What is wrong with the answer, if anything."""
    body = _body(rng, kind)
    if kind == "bad":
        reply = await client.post(PATH, json=body | rng.choice(_BAD))
        return None if 400 <= reply.status_code < 500 else f"{reply.status_code} for what is wrong"
    key = {"Idempotency-Key": f"{rng.getrandbits(64):x}"} if kind == "repeated" else {}
    try:
        texts = [await _texts(client, body, key) for _ in range(2 if key else 1)]
    except (httpx2.HTTPError, ValueError) as error:
        return repr(error)
    return None if texts[0] == texts[-1] and texts[0] else f"answered {texts}"


async def _texts(client: httpx2.AsyncClient, body: dict[str, object], headers: dict[str, str]) -> dict[int, str]:
    """The text of each choice. ValueError when the answer is not a whole one."""
    reply = await client.post(PATH, json=body, headers=headers)
    if reply.status_code != 200:
        raise ValueError(f"{reply.status_code} {reply.text[:200]}")
    chunks = _events(reply.text) if body.get("stream") else [reply.json()]
    texts: dict[int, str] = defaultdict(str)
    for chunk in chunks:
        for choice in chunk.get("choices", ()):
            texts[choice["index"]] += choice["text"]
    if len(texts) != body.get("n", 1):
        raise ValueError(f"{len(texts)} choices")
    return texts


def _events(stream: str) -> list[dict[str, Any]]:
    datas = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    if not datas or datas[-1] != "[DONE]":
        raise ValueError(f"a stream that ends with {datas[-1:]}")
    return [json.loads(data) for data in datas[:-1]]


def _body(rng: random.Random, kind: str) -> dict[str, object]:
    prompt = " ".join(rng.choices(_WORDS, k=rng.randint(1, 60)))
    return {
        "model": "demo",
        "prompt": prompt,
        "max_tokens": rng.randint(4, 48),
        "temperature": rng.choice((0, 0.8)),
        "seed": rng.getrandbits(31),
        **KINDS[kind],
    }
