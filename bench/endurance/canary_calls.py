"""Requests of every kind that carry canaries in all that a client can write."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from bench.endurance.canary_kit import Canaries

if TYPE_CHECKING:
    import httpx2

COMPLETIONS: Final = "/dedicated/v1/completions"
CANARIES: Final = Canaries()
GOOD: Final = {"Authorization": f"Bearer {CANARIES.token}", "Idempotency-Key": CANARIES.key, "X-Custom": CANARIES.extra}
# All of these carry canaries; most of them are wrong.
BODIES: Final[tuple[dict[str, object], ...]] = (
    {},
    {"stream": True},
    {"prompt": [CANARIES.prompt, CANARIES.prompt]},
    {"prompt": {"text": CANARIES.prompt}},
    {"prompt": [CANARIES.prompt, 7]},
    {"prompt": CANARIES.prompt * 1_000},
    {"prompt": CANARIES.prompt + "\ud800"},
    {"stop": [CANARIES.stop, 7]},
    {"stop": [CANARIES.stop * 100]},
    {"stop": [CANARIES.stop] * 100},
    {"bad_words": [CANARIES.extra] * 300},
    {"max_tokens": CANARIES.extra},
    {"temperature": CANARIES.extra},
    {"stream": CANARIES.extra},
    {"response_format": {"type": CANARIES.extra}},
    {"response_format": {"type": "regex", "schema": f"({CANARIES.extra}"}},
    {"response_format": {"type": "json_object", "schema": CANARIES.extra}},
    {"unknown": CANARIES.extra},
    {"forced_output_tokens": [CANARIES.extra]},
    {"timeout_microseconds": 1},
)


async def everything(client: httpx2.AsyncClient) -> list[httpx2.Response]:
    """Requests of every kind, with canaries in all that they carry."""
    replies = []
    for number, fields in enumerate(BODIES):
        body = {"model": "demo", "prompt": CANARIES.prompt, "stop": [CANARIES.stop], "max_tokens": 40} | fields
        content = json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        for key in ({}, {"Idempotency-Key": f"{CANARIES.key}{number}"}):
            headers = GOOD | kind | key
            replies += [await client.post(COMPLETIONS, content=content, headers=headers) for _ in range(2)]
        replies += [
            await client.post(COMPLETIONS, content=content[: len(content) // 2], headers=GOOD | kind),
            await client.post(COMPLETIONS, content=content, headers=GOOD),
        ]
    return replies + await strangers(client)


async def strangers(client: httpx2.AsyncClient) -> list[httpx2.Response]:
    """Requests with a bad token, with a good one where none belongs, and of the metrics."""
    get = client.get
    basic = base64.b64encode(CANARIES.bad_token.encode()).decode()
    return [
        await get(COMPLETIONS, headers={"Authorization": f"Bearer {CANARIES.bad_token}"}),
        await get(COMPLETIONS, headers={"Authorization": f"Basic {basic}"}),
        await get(COMPLETIONS, headers={"Authorization": CANARIES.token}),
        await get(f"/nowhere?token={CANARIES.token}&key={CANARIES.key}", headers=GOOD),
        await get("/health", headers=GOOD),
        await get("/dedicated/v1/endpoints", headers=GOOD | {"X-Friendli-Team": CANARIES.extra + "!"}),
        await get("/metrics", headers=GOOD),
    ]
