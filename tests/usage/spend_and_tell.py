"""Servers in miniature, four at a time in one folder, each killed at a random moment while it tells what it delivers.

Prints what they told: `n number completion` when tokens of a request were counted and go out, `d number completion`
when it is delivered whole. Arguments: the folder, and how many servers.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from friendli_endpoint.usage import Ledger, Who

TOGETHER = 4
LANES = 8


async def requests(ledger: Ledger, first: int, told: int) -> None:
    """One request after the other, for ever: batches of 1, 2, 3, ... tokens."""
    number = first
    while True:
        who = Who(request_id=f"{number:x}", team="acme", token="t", endpoint="demo", adapter=f"a{number % 3}")
        entry = ledger.begin(who)
        completion = 0
        for batch in range(1, 2 + number % 5):
            completion += batch
            entry.count(prompt=number, cached=number // 2, completion=completion)
            os.write(told, f"n {number} {completion}\n".encode())  # a short write to a pipe is whole, or nothing
            await asyncio.sleep(0)
        await entry.close("finished")
        os.write(told, f"d {number} {completion}\n".encode())
        number += 1


async def serve(folder: Path, first: int, told: int) -> None:
    ledger = Ledger.open(folder)
    await asyncio.gather(*(requests(ledger, first + lane * 10_000, told) for lane in range(LANES)))


class Server(NamedTuple):
    pid: int
    told: int


def fork(folder: Path, first: int) -> Server:
    hear, tell = os.pipe()
    fcntl.fcntl(hear, fcntl.F_SETPIPE_SZ, 4096)  # it gets no further ahead of who listens
    pid = os.fork()  # this process has one thread, and forking saves a hundred starts of Python
    if pid == 0:
        os.close(hear)
        asyncio.run(serve(folder, first, tell))
    os.close(tell)
    return Server(pid, hear)


def kill_after(server: Server, size: int) -> None:
    """Hear so many bytes, kill it, and hear the rest."""
    heard = b""
    while len(heard) < size:
        heard += os.read(server.told, 4096)
    os.kill(server.pid, signal.SIGKILL)
    while more := os.read(server.told, 65536):
        heard += more
    os.close(server.told)
    os.waitpid(server.pid, 0)
    sys.stdout.write(heard.decode())


def main(folder: Path, servers: int) -> None:
    chance = random.Random(6)  # noqa: S311 - where to kill is no secret
    for start in range(0, servers, TOGETHER):
        for server in [fork(folder, (start + each) * 100_000) for each in range(TOGETHER)]:
            kill_after(server, chance.randrange(4000))


main(Path(sys.argv[1]), int(sys.argv[2]))
