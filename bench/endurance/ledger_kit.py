"""Requests whose clients count what they get, to a server that is killed and begins again."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.endurance.line_kit import CutError, Line, post, token_events

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

TEAMS: Final = ("acme", "globex", "initech")
ENDPOINTS: Final = ("demo", "other")
ROUTES: Final = ("", "pirate")
_ID: Final = re.compile(rb"x-request-id: (\S+)")


@dataclass(frozen=True)
class Wish:
    """A request to be made. `leaves` is after how many tokens its client goes; None: it stays."""

    number: int
    team: str
    endpoint: str
    adapter: str
    stream: bool
    tokens: int
    key: str | None
    leaves: int | None

    @classmethod
    def some(cls, number: int, rng: random.Random) -> Iterator[Wish]:
        """One; or one with a key, and repeats of it, one behind the other, so that some run at the same time."""
        keyed = rng.random() < 0.1
        team, endpoint, adapter = rng.choice(TEAMS), rng.choice(ENDPOINTS), rng.choice(ROUTES)
        tokens = rng.randint(4, 40)
        for _ in range(rng.randint(2, 3) if keyed else 1):
            stream = rng.random() < 0.6
            leaves = rng.randint(1, tokens - 2) if stream and rng.random() < 0.15 else None
            yield cls(number, team, endpoint, adapter, stream, tokens, f"key-{number}" if keyed else None, leaves)

    @property
    def group(self) -> tuple[str, str, str]:
        return self.team, self.endpoint, self.adapter

    def request(self, token: str) -> bytes:
        """As bytes, with the token of its team."""
        headers = {"Authorization": f"Bearer {token}"} | ({} if self.key is None else {"Idempotency-Key": self.key})
        body = {
            "model": f"{self.endpoint}:{self.adapter}" if self.adapter else self.endpoint,
            "prompt": f"prompt {self.number}",
            "max_tokens": self.tokens,
            "seed": self.number,
            "stream": self.stream,
        }
        return post(body | ({"stream_options": {"include_usage": True}} if self.stream else {}), headers)


@dataclass(frozen=True)
class Sent:
    """What a client got: the request's id if it was told, whether all came, tokens of prompt and output.

    `life` is the number of the server that was asked. Of a reply that was cut, `prompt` is 0.
    """

    wish: Wish
    life: int
    id: str
    whole: bool
    prompt: int
    tokens: int


class Lives:
    """One server after the other; the next one waits, ready to begin. What they log is appended to `log`."""

    def __init__(self, command: tuple[str, ...], log: Path) -> None:
        self.number = 0
        self.url = ""
        self._command = command
        self._log = log
        self._next = self._prepare()
        self._process: subprocess.Popen[str] | None = None
        self._serves = asyncio.Event()

    async def serving(self) -> tuple[str, int]:
        """Where the server is, and its number, once there is one."""
        await self._serves.wait()
        return self.url, self.number

    async def begin(self) -> None:
        """Let the next one serve."""
        process, self._next = self._next, self._prepare()
        self.url = await asyncio.to_thread(_address, process)
        self._process = process
        self.number += 1
        self._serves.set()

    async def kill(self) -> None:
        """End the one that serves, as nothing can be prepared for, and begin with the next."""
        self._serves.clear()
        self._finish(self._process)
        await self.begin()

    def end(self) -> None:
        """Kill the one that serves, and the one that waits."""
        self._finish(self._process)
        self._finish(self._next)

    def _prepare(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        root = Path(__file__).parents[2]
        with self._log.open("a") as log:
            return subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=log, text=True, cwd=root)

    def _finish(self, process: subprocess.Popen[str] | None) -> None:
        if process is not None:
            process.kill()
            process.communicate()


async def ask(lives: Lives, wish: Wish, token: str) -> Sent:
    """Make the request to the server that is there, and count what comes, to the end of the connection."""
    while True:
        url, life = await lives.serving()
        try:
            line = await Line.open(url)
        except OSError:  # killed just now
            await asyncio.sleep(0.01)
            continue
        line.send(wish.request(token))
        try:
            return await _read(line, wish, life)
        finally:
            line.close()


async def _read(line: Line, wish: Wish, life: int) -> Sent:
    try:
        if wish.leaves is not None:
            await _leave(line, wish.leaves)
        reply = await line.reply()
    except CutError:
        received = bytes(line.received)
        return Sent(wish, life, _id(received), whole=False, prompt=0, tokens=token_events(received))
    if reply.status != 200:
        raise RuntimeError(f"{reply.status} {reply.body[:300]!r}")
    usage = json.loads(_last_event(reply.body) if wish.stream else reply.body)["usage"]
    return Sent(wish, life, _id(bytes(line.received)), True, usage["prompt_tokens"], usage["completion_tokens"])


async def _leave(line: Line, after: int) -> None:
    """Say after so many tokens that no more is wanted, but read what is on its way, so that nothing is uncounted."""
    while token_events(bytes(line.received)) < after:
        if line.ended:
            raise CutError("before the client could leave")
        await line.more()
    line.transport.write_eof()


def _last_event(stream: bytes) -> bytes:
    """The one before [DONE]."""
    return stream.split(b"\n\n")[-3].removeprefix(b"data: ")


def _id(received: bytes) -> str:
    found = _ID.search(received)
    return found[1].decode() if found else ""


def _address(process: subprocess.Popen[str]) -> str:
    if process.stdin is None:
        raise RuntimeError("the server's input is not connected")
    process.stdin.write("\n")
    process.stdin.flush()
    for line in process.stdout or ():
        if found := re.search(r"ready at (http://\S+)", line):
            return found[1]
    raise RuntimeError(f"the server ended with {process.wait()}")
