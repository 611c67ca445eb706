"""Secrets, prompts and outputs go through a real server and its crashes, and are looked for in all that it tells."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2

from bench.endurance.auth_model import ROUTES
from bench.endurance.canary_calls import CANARIES, COMPLETIONS, GOOD, everything
from bench.endurance.canary_kit import leaks
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from friendli_endpoint.access import TokenStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.endurance.served_kit import Served

_HASH: Final = hashlib.sha256(CANARIES.token.encode()).hexdigest()
_TOML: Final = f"""
[server]
port = 0
log = "json"
log_level = "debug"
admin_tokens = ["sha256:{_HASH}"]
[endpoints.demo]
"""
_CRASHES: Final = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
_SAYS_CANARY: Final = {"type": "regex", "schema": CANARIES.output}
_BODY: Final[dict[str, object]] = {
    "model": "demo",
    "prompt": CANARIES.prompt,
    "stop": [CANARIES.stop],
    "max_tokens": 40,
    "bad_words": [CANARIES.extra],
}
_OPENMETRICS: Final = "application/openmetrics-text"
_TIMEOUT_SECONDS: Final = 120


@dataclass(frozen=True)
class Told:
    """What a server has told where, by place; `said` is how many good answers had the output's canary."""

    places: dict[str, str]
    replies: int
    crashes: int
    said: int
    created: str
    """The secret part of a token that was created while it ran."""

    @property
    def found(self) -> list[str]:
        """What is where it may not be."""
        wanted = [*CANARIES, ("created token", self.created)]
        return [f"{what} in {place}" for place, text in self.places.items() for what in leaks(text, wanted)]


def measure(*, quick: bool) -> Iterator[Row]:
    """Its row."""
    crashes = _CRASHES[: 1 if quick else None]
    with serving(_TOML) as served:
        told = asyncio.run(_lived(served, crashes, quick=quick))
    size = sum(map(len, told.places.values()))
    yield Row(
        "canary secrets, prompts and outputs in logs, errors, metrics, usage and state",
        "0",
        f"{len(told.found)} in {size:,} characters, after {told.replies} replies and {told.crashes} crashes"
        + "".join(f"; {each}" for each in told.found[:5]),
        not told.found and told.said > len(crashes) and told.crashes >= len(crashes),
    )


async def _lived(served: Served, crashes: tuple[signal.Signals, ...], *, quick: bool) -> Told:
    state = served.folder / "state"
    with closing(TokenStore.open(state)) as store:
        created, token = store.create(scopes={"complete"}, teams=(), endpoints=(), expires=None)
    async with httpx2.AsyncClient(base_url=served.url, timeout=_TIMEOUT_SECONDS) as client:
        replies = [] if quick else await everything(client)  # the fake engine's tests have it, too
        replies += [reply async for reply in _at_every_route(client)]
        replies.append(await client.post(COMPLETIONS, json=_BODY, headers={"Authorization": f"Bearer {created}"}))
        for sign in crashes:
            replies += await _through_a_crash(client, served, sign)
        metrics = [await client.get("/metrics", headers=GOOD | accept) for accept in ({}, {"Accept": _OPENMETRICS})]
        usage = await asyncio.to_thread(_usage, served.url)
    files = sorted(path for path in state.rglob("*") if path.is_file())
    return Told(
        places={
            "log": served.log,
            "errors": "\n".join(f"{reply.headers} {reply.text}" for reply in replies if reply.is_error),
            "headers": "\n".join(str(reply.headers) for reply in replies),
            "metrics": "\n".join(reply.text for reply in metrics),
            "friendli usage": usage,
            **{f"state/{path.name}": path.read_bytes().decode("latin-1") for path in files},
        },
        replies=len(replies),
        crashes=served.log.count("the engine process "),
        said=sum(CANARIES.output in _text(reply) for reply in replies if reply.is_success),
        created=created.removeprefix(token.prefix),
    )


async def _at_every_route(client: httpx2.AsyncClient) -> AsyncIterator[httpx2.Response]:
    """With canaries in what every request may carry; with a good token, a bad one and none."""
    for pattern, doors in ROUTES.items():
        path = pattern.format(endpoint_id="demo", route="nobody") + f"?token={CANARIES.token}&x={CANARIES.prompt}"
        for method in (*doors, "PATCH"):
            for token in (CANARIES.token, CANARIES.bad_token, ""):
                if token == CANARIES.token and pattern.endswith(("/sleep", "/wake")):
                    continue
                headers = {**GOOD, "Authorization": f"Bearer {token}" if token else "", "X-Request-Id": "r"}
                yield await client.request(method, path, headers=headers, json={"prompt": CANARIES.prompt})


async def _through_a_crash(client: httpx2.AsyncClient, served: Served, sign: signal.Signals) -> list[httpx2.Response]:
    """A stream and a plain request that are there when the engine dies."""
    body = _BODY | {"response_format": _SAYS_CANARY}
    asking = [
        asyncio.create_task(
            client.post(COMPLETIONS, json=body | {"stream": stream, "n": 4}, headers=_key(sign, stream))
        )
        for stream in (True, False)
    ]
    await asyncio.wait(asking, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
    with suppress(ProcessLookupError):
        os.kill(served.children[0], sign)
    return list(await asyncio.gather(*asking))


def _key(sign: signal.Signals, stream: bool) -> dict[str, str]:
    return GOOD | {"Idempotency-Key": f"{CANARIES.key}-{sign.name}-{stream}"}


def _usage(url: str) -> str:
    command = [sys.executable, "-c", "from friendli.cli import main; main()", "usage", "--server-url", url]
    environment = os.environ | {"FRIENDLI_TOKEN": CANARIES.token}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout + ended.stderr


def _text(reply: httpx2.Response) -> str:
    """The text of a reply's first choice, streamed or not."""
    if not reply.headers.get("content-type", "").startswith("text/event-stream"):
        return reply.text
    datas = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: {")]
    choices = [choice for data in datas for choice in json.loads(data).get("choices", ())]
    return "".join(choice["text"] for choice in choices if choice["index"] == 0)
