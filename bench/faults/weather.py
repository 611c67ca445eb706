"""Duplicate generations: calls through a network that fails, to a server that honours Idempotency-Key.

The server generates once for each key, and again for each request without one. What becomes of a request is drawn from
the seed, the prompt and the attempt alone, so that every run and every client meets the same weather.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.faults.answers import failure, result
from bench.faults.server import Asked, Close, Pause, Reset, Server, Stall, Step, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.faults.plan import Ask

FAULTY = 0.20
STALLS = 0.002  # of all requests; each costs a whole timeout
BEFORE: dict[str, Step] = {
    "reset": Reset,
    "500": failure(500),
    "503": failure(503),
}
AFTER = ("generated, then a reset", "generated, then a 502", "cut by a close", "cut by a reset", "late")
CUT = ("cut by a close", "cut by a reset")
STALLED = "generated, then silence"
DELAY_S = 0.03
WAIT_S = 4.0  # longer than the longest wait between attempts
AT_ONCE = 32


@dataclass
class Origin:
    """An endpoint that remembers: texts by key, and how often it generated for each prompt."""

    seed: int
    stalls: float = STALLS
    texts: dict[str, str] = field(default_factory=dict)
    generated: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    keyless: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def script(self, asked: Asked) -> Iterator[Step]:
        fault = drawn(self.seed, asked.prompt, asked.attempt, self.stalls)
        with self.lock:
            self.faults[fault or "none"] += 1
        if fault in BEFORE:
            yield BEFORE[fault]
        else:
            yield from _delivered(result(self.generate(asked)), fault)

    def generate(self, asked: Asked) -> str:
        """The text for a request, made once for each key."""
        key = asked.headers.get("idempotency-key")
        with self.lock:
            if key is not None and key in self.texts:
                return self.texts[key]
            self.keyless += key is None
            self.generated[asked.prompt] += 1
            text = expected(asked.prompt)
            if key is not None:
                self.texts[key] = text
            return text

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in self.generated.values())


def drawn(seed: int, prompt: str, attempt: int, stalls: float) -> str | None:
    """The fault that a request meets, None for none; `stalls` is the share of requests that meet silence."""
    dice = random.Random(f"{seed} {prompt} {attempt}")  # noqa: S311  no secret
    if dice.random() >= FAULTY:
        return None
    return STALLED if dice.random() < stalls / FAULTY else dice.choice((*BEFORE, *AFTER))


def expected(prompt: str) -> str:
    return f"This is what becomes of {prompt}: " + prompt[::-1] * 5


def _delivered(answer: bytes, fault: str | None) -> Iterator[Step]:
    """A generated answer on its way, if it gets through."""
    match fault:
        case None:
            yield answer
        case "late":
            yield Pause(DELAY_S)
            yield answer
        case "generated, then a 502":
            yield failure(502)
        case "generated, then a reset":
            yield Reset
        case "generated, then silence":
            yield Stall
        case _:
            yield answer[: len(answer) * 2 // 3]
            yield Close if fault == "cut by a close" else Reset


@dataclass(frozen=True)
class WeatherFigures:
    """Of `calls`: answered with a `wrong` text; `failed`, of them on a `cut` body, and with an error of its `own`.

    `requests` in all, `faulty` of them with a fault; `keyless` generations came without an Idempotency-Key.
    """

    calls: int
    requests: int
    faulty: int
    duplicates: int
    keyless: int
    wrong: int
    failed: int
    cut: int
    own: int

    @property
    def kept(self) -> bool:
        return self.duplicates == self.keyless == self.wrong == 0 and self.failed == self.own


def measure(ask: Ask, calls: int, *, seed: int = 5, stalls: float = STALLS, skip_waits: bool = False) -> WeatherFigures:
    """Half of the calls sync, half async."""
    origin = Origin(seed, stalls)
    prompts = [f"call {number}" for number in range(calls)]
    more = {"at_once": AT_ONCE, "wait": None if skip_waits else WAIT_S, "skip_waits": skip_waits}
    with serving(origin.script) as server:
        outcomes = []
        for half, run_async in ((prompts[::2], False), (prompts[1::2], True)):
            done = ask("calls", url=server.url, prompts=half, run_async=run_async, **more)
            outcomes += zip(half, done["outcomes"], strict=True)
        return _figures(origin, server, outcomes)


def _figures(origin: Origin, server: Server, outcomes: list[tuple[str, dict[str, Any]]]) -> WeatherFigures:
    failed = [(prompt, one) for prompt, one in outcomes if one["error"] is not None]
    last = (drawn(origin.seed, prompt, server.attempts[prompt] - 1, origin.stalls) for prompt, _ in failed)
    return WeatherFigures(
        calls=len(outcomes),
        requests=server.requests,
        faulty=server.requests - origin.faults["none"],
        duplicates=origin.duplicates,
        keyless=origin.keyless,
        wrong=sum(one["error"] is None and one["text"] != expected(prompt) for prompt, one in outcomes),
        failed=len(failed),
        cut=sum(fault in CUT for fault in last),
        own=sum(one["own"] for _, one in failed),
    )
