"""What the bench and its child processes say to each other: one JSON object a line, over the child's stdin and stdout.

The bench asks `{"op": name, ...}`; the child answers `{"ok": ...}` or `{"error": sentence}`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

Output: TypeAlias = "list[int] | str"


@dataclass(frozen=True)
class Job:
    """One request: prompt in tokens; exactly `max_tokens` tokens are wanted. Temperature 0 is greedy.

    `adapter` is the name of one that the engine was given; None is the base model. Our engine uses for a job nothing
    that it has cached of jobs with another `scope`.
    """

    prompt: list[int]
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    adapter: str | None = None
    scope: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one job gave: seconds to its first token (None when not streamed), tokens in all, and the tokens or text."""

    first_token_s: float | None
    tokens: int
    output: Output


@dataclass(frozen=True)
class Run:
    """Jobs worked off, from the first one's start to the last one's end; outcomes in the order of the jobs."""

    seconds: float
    outcomes: list[Outcome]

    @property
    def tokens_per_s(self) -> float:
        return sum(outcome.tokens for outcome in self.outcomes) / self.seconds

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Run:
        return cls(raw["seconds"], [Outcome(**outcome) for outcome in raw["outcomes"]])


class ChildError(Exception):
    """A child answered with an error, or ended; the message says which and why."""


class Child:
    """A child process that answers one question at a time; leaving the context ends it."""

    def __init__(self, name: str, command: Sequence[str | Path]) -> None:
        self.name = name
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, op: str, **values: object) -> Any:  # noqa: ANN401  the answer's shape is the question's
        """The child's answer; ChildError when it has none."""
        if self._process.stdin is None or self._process.stdout is None:
            raise ChildError(f"{self.name}: not connected")
        try:
            self._process.stdin.write(json.dumps({"op": op, **values}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ChildError(f"{self.name} ended before {op!r}") from error
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(f"{self.name} ended during {op!r} with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildError(f"{self.name}: {op}: {answer['error']}")
        return answer["ok"]

    def run(self, jobs: Sequence[Job], concurrency: int, *, stream: bool = False) -> Run:
        """Work off the jobs, `concurrency` at a time; ChildError when one gave another number of tokens than asked."""
        raw = self.ask("run", jobs=[asdict(job) for job in jobs], concurrency=concurrency, stream=stream)
        done = Run.read(raw)
        for job, outcome in zip(jobs, done.outcomes, strict=True):
            if outcome.tokens != job.max_tokens:
                raise ChildError(f"{self.name}: {outcome.tokens} tokens instead of {job.max_tokens}")
        return done

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def answering() -> tuple[IO[str], IO[str]]:
    """The child's side: (questions, answers). What libraries print from now on goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return sys.stdin, answers


def answer_all(handle: Callable[[dict[str, Any]], object]) -> None:
    """Answer questions with `handle` until the bench closes the pipe."""
    questions, answers = answering()
    for line in questions:
        try:
            answer: dict[str, object] = {"ok": handle(json.loads(line))}
        except Exception as error:  # the bench prints it and ends
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
