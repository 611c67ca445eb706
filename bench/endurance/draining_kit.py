"""One server that is told to stop under load, and what became of each request."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2

from friendli_endpoint.usage import Query, stored_totals

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from bench.endurance.served_kit import Served

PATH: Final = "/dedicated/v1/completions"
_ARRIVALS_SECONDS: Final = 0.3
_PROBE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 120


@dataclass(frozen=True)
class Fate:
    """What became of a request: a whole answer with so many `tokens`, a refusal as it should be, or `trouble`."""

    tokens: int = 0
    refused: bool = False
    trouble: str | None = None

    @property
    def whole(self) -> bool:
        return not self.refused and self.trouble is None


@dataclass(frozen=True)
class Stopped:
    """How a server ended, `seconds` after it was told to, and the fates of those asked before and after that."""

    seconds: float
    status: int
    before: Sequence[Fate]
    after: Sequence[Fate]
    waiting: int
    """Requests that waited for their turn when it was told to stop."""
    left: Sequence[str]
    """Processes and files that should be gone, and what the ledger has too much or too little."""

    @property
    def lost(self) -> list[str]:
        return [fate.trouble for fate in (*self.before, *self.after) if fate.trouble]


async def stopped(served: Served, bodies: Sequence[dict[str, object]], rng: random.Random, *, signals: int) -> Stopped:
    """Ask all of these within a moment, tell the server to stop at another one, and go on asking until it has."""
    async with httpx2.AsyncClient(base_url=served.url, timeout=_PATIENCE_SECONDS) as client:
        asking = [asyncio.create_task(_at(rng.uniform(0, _ARRIVALS_SECONDS), client, body)) for body in bodies]
        await asyncio.sleep(rng.uniform(_ARRIVALS_SECONDS, 3 * _ARRIVALS_SECONDS))
        waiting, children = await _waiting(client), served.children
        begin = time.monotonic()
        for _ in range(signals):
            served.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0)
        ending = asyncio.create_task(asyncio.to_thread(served.process.wait, _PATIENCE_SECONDS))
        after = await _refused_until(ending, client, bodies[0])
        status, seconds = await ending, time.monotonic() - begin
        before = await asyncio.gather(*asking)
    left = [f"process {pid}" for pid in children if _lives(pid)] + _left_in(served, [*before, *after])
    return Stopped(seconds, status, before, after, waiting, left)


async def _at(seconds: float, client: httpx2.AsyncClient, body: dict[str, object]) -> Fate:
    await asyncio.sleep(seconds)
    return await _ask(client, body, stopping=False)


async def _refused_until(ending: asyncio.Task[int], client: httpx2.AsyncClient, body: dict[str, object]) -> list[Fate]:
    """The fates of late requests; one may still be let in, while the signal is on its way."""
    fates = []
    while not ending.done():
        fates.append(await _ask(client, body, stopping=True))
        await asyncio.wait({ending}, timeout=_PROBE_SECONDS)
    return fates


async def _ask(client: httpx2.AsyncClient, body: dict[str, object], *, stopping: bool) -> Fate:
    """`stopping`: the server has been told to, so that it may close connections that it has not answered on."""
    try:
        reply = await client.post(PATH, json=body)
    except httpx2.ConnectError:
        return Fate(refused=True)
    except httpx2.TransportError as error:
        return Fate(refused=True) if stopping else Fate(trouble=repr(error))
    return fate_of(reply, body)


def fate_of(reply: httpx2.Response, body: dict[str, object]) -> Fate:
    """A refusal says when to come back; a whole answer has the end of its choice, and in a stream the end of that."""
    if reply.status_code == httpx2.codes.SERVICE_UNAVAILABLE and "retry-after" in reply.headers:
        return Fate(refused=True)
    if reply.status_code != httpx2.codes.OK:
        return Fate(trouble=f"{reply.status_code} {reply.text[:200]}")
    datas = re.findall(r"^data: (.*)$", reply.text, re.MULTILINE) if body["stream"] else [reply.text, "[DONE]"]
    if datas[-1:] != ["[DONE]"]:
        return Fate(trouble=f"a stream that ends with {datas[-1:]}")
    choices: list[dict[str, Any]] = [choice for data in datas[:-1] for choice in json.loads(data).get("choices", ())]
    if not choices or choices[-1]["finish_reason"] is None:
        return Fate(trouble=f"an answer that ends with {datas[-2:]}")
    tokens = sum(len(choice.get("tokens") or ()) + (choice.get("token") is not None) for choice in choices)
    return Fate(tokens=tokens)


async def _waiting(client: httpx2.AsyncClient) -> int:
    """Requests that wait for their turn."""
    metrics = (await client.get("/metrics")).text
    return sum(int(float(each)) for each in re.findall(r"^friendli_requests_waiting\S* (\S+)", metrics, re.MULTILINE))


def _lives(pid: int) -> bool:
    """Whether there is such a process that nobody merely has to take leave of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _left_in(served: Served, fates: Sequence[Fate]) -> list[str]:
    """Of the state: journals, and a ledger that is not what was answered."""
    state = served.folder / "state"
    journals = [path.name for kind in ("journal", "draft") for path in state.glob(f"usage-*.{kind}")]
    kept = sum(total.completion_tokens for total in stored_totals(state, Query()))
    answered = sum(fate.tokens for fate in fates)
    whole = all(fate.whole or fate.refused for fate in fates)  # else what had been sent is not known here
    return [*journals, *([f"{kept} tokens in the ledger instead of {answered}"] if whole and kept != answered else [])]
