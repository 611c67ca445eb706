"""One client in a process of its own: `python -m bench.faults.child NAME` does calls and says what came of each."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio

from bench.faults import leaks
from bench.faults.subjects import DECODERS, SUBJECTS, Subject
from bench.wire import answer_all

if TYPE_CHECKING:
    from collections.abc import Iterator


def answer(name: str, question: dict[str, Any]) -> object:
    """Do what the bench asks for with the client called `name`."""
    match question.pop("op"):
        case "decode":
            return [_decoded(name, case) for case in question["cases"]]
        case "calls":
            return calls(name, **question)
        case "long":
            return leaks.long_stream(SUBJECTS[name], **question)
        case "many":
            return leaks.many_streams(SUBJECTS[name], **question)
    raise ValueError("unknown question")


def _decoded(name: str, pieces: list[str]) -> object:
    """Events, or the error's name. Bytes travel as Latin-1."""
    try:
        return DECODERS[name]([piece.encode("latin-1") for piece in pieces])
    except Exception as error:  # the bench counts the case as wrong
        return type(error).__name__


def calls(
    name: str,
    *,
    url: str,
    prompts: list[str],
    stream: bool = False,
    run_async: bool = False,
    at_once: int = 1,
    clients: int = 1,
    wait: float | None = None,
    skip_waits: bool = False,
) -> dict[str, Any]:
    """One call for each prompt over `clients` new clients in turn; `connects` counts tries to connect (sync only).

    With `skip_waits` the client's waits between attempts take no time, but its clocks go on as if they did.
    """
    with ExitStack() as stack:
        connects = stack.enter_context(_counted_connects())
        if skip_waits:
            stack.enter_context(skipped_waits())
        work = _all_async if run_async else _all_sync
        outcomes = work([SUBJECTS[name](url) for _ in range(clients)], prompts, stream, at_once, wait)
        return {"outcomes": outcomes, "connects": connects[0]}


def _all_sync(
    subjects: list[Subject], prompts: list[str], stream: bool, at_once: int, wait: float | None
) -> list[dict[str, Any]]:
    work = _read if stream else _completed
    with ThreadPoolExecutor(at_once) as pool:
        chosen = (subjects[number % len(subjects)] for number in range(len(prompts)))
        outcomes = list(pool.map(partial(work, wait=wait), chosen, prompts))
    for subject in subjects:
        subject.close()
    return outcomes


def _completed(subject: Subject, prompt: str, wait: float | None) -> dict[str, Any]:
    try:
        return _outcome(subject, subject.complete(prompt, wait))
    except Exception as error:  # the bench judges it
        return _outcome(subject, "", error)


def _read(subject: Subject, prompt: str, wait: float | None) -> dict[str, Any]:
    texts: list[str] = []
    try:
        texts.extend(map(subject.text_of, subject.opened(prompt, wait)))
    except Exception as error:  # the bench judges it
        return _outcome(subject, "".join(texts), error)
    return _outcome(subject, "".join(texts))


def _all_async(
    subjects: list[Subject], prompts: list[str], stream: bool, at_once: int, wait: float | None
) -> list[dict[str, Any]]:
    async def one(subject: Subject, prompt: str) -> dict[str, Any]:
        async with room:
            return await work(subject, prompt, wait)

    async def everything() -> list[dict[str, Any]]:
        tasks = [one(subjects[number % len(subjects)], prompt) for number, prompt in enumerate(prompts)]
        outcomes = await asyncio.gather(*tasks)
        for subject in subjects:
            await subject.aclose()
        return outcomes

    work = _read_async if stream else _completed_async
    room = asyncio.Semaphore(at_once)
    return asyncio.run(everything())


async def _completed_async(subject: Subject, prompt: str, wait: float | None) -> dict[str, Any]:
    try:
        return _outcome(subject, await subject.complete_async(prompt, wait))
    except Exception as error:  # the bench judges it
        return _outcome(subject, "", error)


async def _read_async(subject: Subject, prompt: str, wait: float | None) -> dict[str, Any]:
    texts: list[str] = []
    try:
        async for event in await subject.opened_async(prompt, wait):
            texts.append(subject.text_of(event))  # noqa: PERF401  kept when the next one fails
    except Exception as error:  # the bench judges it
        return _outcome(subject, "".join(texts), error)
    return _outcome(subject, "".join(texts))


def _outcome(subject: Subject, text: str, error: Exception | None = None) -> dict[str, Any]:
    """What one call gave; `own` tells whether its error is one that the client documents."""
    if error is None:
        return {"text": text, "error": None, "own": True, "carried": None}
    told = subject.carried(error)
    return {"text": text, "error": type(error).__name__, "own": isinstance(error, subject.own), "carried": told}


@contextmanager
def _counted_connects() -> Iterator[list[int]]:
    """How many connections were tried, in a list of one. The HTTP libraries of all three clients connect this way."""
    tried = [0]
    connect = socket.create_connection

    def counted(*args: Any, **named: Any) -> socket.socket:  # noqa: ANN401  passed on
        tried[0] += 1
        return connect(*args, **named)

    with mock.patch.object(socket, "create_connection", counted):
        yield tried


@contextmanager
def skipped_waits() -> Iterator[None]:
    skipped = [0.0]

    def skip(seconds: float) -> None:
        skipped[0] += seconds

    async def skip_async(seconds: float) -> None:
        skip(seconds)

    clocks = {name: getattr(time, name) for name in ("time", "monotonic")}
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(time, "sleep", skip))
        stack.enter_context(mock.patch.object(anyio, "sleep", skip_async))
        for name, clock in clocks.items():
            stack.enter_context(mock.patch.object(time, name, lambda clock=clock: clock() + skipped[0]))
        yield


if __name__ == "__main__":
    answer_all(partial(answer, sys.argv[1]))
