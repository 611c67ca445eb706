"""One client in a process of its own: `python -m bench.clients.run NAME URL` answers how much CPU its work took."""

from __future__ import annotations

import asyncio
import resource
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.clients.subjects import SUBJECTS, Subject
from bench.wire import answer_all

if TYPE_CHECKING:
    from collections.abc import Callable


def cpu_s() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def spent_us(work: Callable[[], int], units: int) -> dict[str, float]:
    """Microseconds of CPU per unit of the work, and what the work returned."""
    begin = cpu_s()
    characters = work()
    return {"cpu_us": (cpu_s() - begin) / units * 1e6, "characters": characters}


def answer(subject: Subject, runner: asyncio.Runner, question: dict[str, Any]) -> object:
    count = question.get("count", 0)
    match question["op"]:
        case "version":
            return subject.version
        case "stream":
            return spent_us(lambda: subject.stream(count), count)
        case "stream_async":
            return spent_us(lambda: runner.run(subject.stream_async(count)), count)
        case "calls":
            return spent_us(lambda: sum(subject.call() for _ in range(count)), count)
    raise ValueError(f"unknown question {question['op']!r}")


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        answer_all(partial(answer, SUBJECTS[sys.argv[1]](sys.argv[2]), runner))
