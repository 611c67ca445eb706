"""Clients that never read, that send a head byte by byte, that only connect: thousands, beside a few honest ones."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from bench.endurance.fake_server import command
from bench.endurance.line_kit import CutError, Line, Pool, get, post
from bench.endurance.load_kit import probe, quantile
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from friendli_endpoint.server.sockets import allow_many_sockets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_HEADER_SECONDS: Final = 5
_STALL_SECONDS: Final = 2
_STAY_SECONDS: Final = 8
"""The buffers are full after about 2 s, and nobody reads for 2 s more."""
_ROWS: Final = 32
_TOML: Final = f"""
[server]
port = 0
header_seconds = {_HEADER_SECONDS}
stall_seconds = {_STALL_SECONDS}

[endpoints.demo]
max_rows = {_ROWS}
"""
_MOST_GROWTH: Final = 64.0  # MiB
_SEGMENT: Final = 1000
_SMALL: Final = 4096  # bytes that a client which does not read takes at most


@dataclass(frozen=True)
class Crowd:
    """How many of each come at once, and come again when they are sent away, for `seconds`."""

    stalled: int
    slow: int
    idle: int
    seconds: float


@dataclass
class Seen:
    """What was noticed meanwhile."""

    memory: list[float] = field(default_factory=list)
    """MiB of the server's process."""
    running: list[int] = field(default_factory=list)
    """Requests that had a place in the engine."""
    ended: int = 0
    """Connections of the crowd that the server has ended."""
    given_up: int = 0
    """Streams that were not read for a while, and ended by the server meanwhile."""
    patient: int = 0
    """Streams that were whole although nobody had read them for so long."""
    answers: int = 0
    wrong: int = 0


_Play: TypeAlias = "Callable[[str, float, Seen], Awaitable[None]]"


def measure(*, quick: bool) -> Iterator[Row]:
    """A crowd before the fake engine."""
    crowd = Crowd(20, 60, 60, 12) if quick else Crowd(200, 1000, 1000, 40)
    allow_many_sockets()
    with serving(_TOML, command(rows=_ROWS, step_seconds=0.02)) as served:
        yield from asyncio.run(_beside(served.url, served.process.pid, crowd, strict=not quick))


async def _beside(url: str, pid: int, crowd: Crowd, *, strict: bool) -> list[Row]:
    pool, asking, seen = Pool(url), Pool(url), Seen()
    right = await _honest_texts(pool)
    before = _memory(pid)
    files = _files(pid)
    watching = asyncio.create_task(_watch(asking, pid, seen))
    probing = asyncio.create_task(probe(asking, 0.05))
    until = time.perf_counter() + crowd.seconds
    async with asyncio.TaskGroup() as group:
        for play, count in ((_stalled, crowd.stalled), (_slow, crowd.slow), (_idle, crowd.idle)):
            for _ in range(count):
                group.create_task(_come(play, url, until, crowd.seconds / 8, seen))
        for _ in range(4):
            group.create_task(_honest(pool, until, right, seen))
    probing.cancel()
    watching.cancel()
    health = await probing
    await asyncio.wait({watching})
    pool.close()
    asking.close()
    left = await _files_after(pid, files)
    what = f"{crowd.stalled} that do not read, {crowd.slow} slow heads, {crowd.idle} idle sockets, {crowd.seconds:g} s"
    return _rows(what, seen, before, health, (files, left), strict=strict)


def _rows(
    what: str, seen: Seen, before: float, health: list[float], files: tuple[int, int], *, strict: bool
) -> list[Row]:
    peak, slow = max(seen.memory), quantile(health, 0.99)
    load = f"load average {os.getloadavg()[0]:.1f}"
    told = f"p50 {quantile(health, 0.5) * 1000:.1f} ms, p99 {slow * 1000:.1f} ms of {len(health)}; {load}"
    stalled = f"{seen.given_up} of {seen.given_up + seen.patient}; {max(seen.running)} requests in the engine at most"
    most = _ROWS + _ROWS // 4
    return [
        Row(
            f"{what}: memory",
            f"grows by <= {_MOST_GROWTH:g} MiB",
            f"{before:.0f} -> {peak:.0f} MiB ({peak - before:.0f})",
            peak - before <= _MOST_GROWTH,
        ),
        Row(
            f"{what}: who does not read",
            f"every one is given up within {_STAY_SECONDS} s; <= {most} requests in the engine",
            stalled,
            seen.given_up > 0 and not seen.patient and max(seen.running) <= most,
        ),
        Row(f"{what}: health", "p99 <= 100 ms", told, slow <= (0.1 if strict else 10)),
        Row(
            f"{what}: 4 honest clients",
            "every text exact",
            f"{seen.answers - seen.wrong} of {seen.answers}",
            not seen.wrong and seen.answers > 0,
        ),
        Row(
            f"{what}: sockets",
            "as many as before",
            f"{seen.ended} ended by the server; {files[0]} open before, {files[1]} after",
            files[1] <= files[0],
        ),
    ]


async def _come(play: _Play, url: str, until: float, within: float, seen: Seen) -> None:
    """All are there after a few seconds, and do not come and go at the same moments."""
    await asyncio.sleep(random.uniform(0, within))  # noqa: S311 - moments
    await play(url, until, seen)


async def _stalled(url: str, until: float, seen: Seen) -> None:
    """Ask for a long stream and read nothing of it, again and again."""
    body = {"model": "demo", "prompt": "x", "max_tokens": 400, "min_tokens": 400, "stream": True}
    request = post(body | {"include_output_logits": True}, {"X-Friendli-Team": "crowd"})
    while time.perf_counter() < until:
        line = await Line.open(url, await _narrow(url))
        line.send(request)
        await _begin_and_stall(line, until, seen)


async def _begin_and_stall(line: Line, until: float, seen: Seen) -> None:
    """What comes once it reads again shows whether it was given up meanwhile."""
    with suppress(CutError, TimeoutError):
        async with asyncio.timeout(max(until - time.perf_counter(), 0)):
            await line.until(b"data: ")
            line.transport.pause_reading()
            await asyncio.sleep(_STAY_SECONDS)
            line.transport.resume_reading()
            await line.reply()
            seen.patient += 1
    seen.ended += line.ended
    seen.given_up += line.ended
    line.abort()


async def _slow(url: str, until: float, seen: Seen) -> None:
    """Send a head, a byte now and then."""
    rest = iter(get("/health")[:-2] + b"X-Slow: " + b"x" * 10_000)
    while time.perf_counter() < until:
        line = await Line.open(url)
        while not line.ended and time.perf_counter() < until:
            line.transport.write(bytes([next(rest)]))
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 - moments
        seen.ended += line.ended
        line.abort()


async def _idle(url: str, until: float, seen: Seen) -> None:
    """Connect, and say nothing."""
    while time.perf_counter() < until:
        line = await Line.open(url)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(until - time.perf_counter(), 0)):
                await line.end()
        seen.ended += line.ended
        line.abort()


async def _honest(pool: Pool, until: float, right: list[str], seen: Seen) -> None:
    number = 0
    while time.perf_counter() < until:
        number += 1
        text = await _text(pool, number % len(right))
        seen.answers += 1
        seen.wrong += text != right[number % len(right)]


async def _honest_texts(pool: Pool) -> list[str]:
    """What honest clients are answered while nobody else is there."""
    return [await _text(pool, number) for number in range(8)]


async def _text(pool: Pool, number: int) -> str:
    body = {"model": "demo", "prompt": f"honest {number}", "max_tokens": 24, "seed": number}
    try:
        reply, _ = await pool.ask(post(body, {"X-Friendli-Team": "honest"}))
    except (CutError, OSError) as error:
        return repr(error)
    return str(json.loads(reply.body)["choices"][0]["text"]) if reply.status == 200 else f"{reply.status}"


async def _watch(pool: Pool, pid: int, seen: Seen) -> None:
    while True:
        seen.memory.append(_memory(pid))
        reply, _ = await pool.ask(get("/metrics"))
        seen.running.append(_engine_requests(reply.body.decode()))
        await asyncio.sleep(0.25)


def _engine_requests(metrics: str) -> int:
    lines = (line.rpartition(" ") for line in metrics.splitlines())
    names = ("friendli_engine_running_sequences{", "friendli_engine_waiting_sequences{")
    return sum(int(float(value)) for name, _, value in lines if name.startswith(names))


async def _narrow(url: str) -> socket.socket:
    """A connection whose buffer for what comes is small, and in small segments, so that the sender's is small, too."""
    place = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (place.hostname, place.port))
    return sock


def _memory(pid: int) -> float:
    """Resident MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only counted


async def _files_after(pid: int, before: int) -> int:
    """Open files once they are as many as before, or do not become fewer."""
    until = time.perf_counter() + 10
    while _files(pid) > before and time.perf_counter() < until:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.1)
    return _files(pid)
