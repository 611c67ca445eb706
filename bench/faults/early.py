"""Retry-After: whether an attempt ever comes earlier than the server asked, on real clocks."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, TypeAlias

from bench.faults.answers import failure, result
from bench.faults.server import Asked, Step, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.faults.plan import Ask

Headers: TypeAlias = dict[str, str]
REFUSALS = 2  # of each call; then it is answered
SKEW_S = 2.0
TOLERANCE_S = 0.001


@dataclass(frozen=True)
class Asking:
    """Headers, and the Unix time before which no attempt may come, None if they ask for nothing."""

    headers: Headers
    until: float | None


Form: TypeAlias = Callable[[float], Asking]


def _after(wait: float | None, **headers: str) -> Form:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda now: Asking(names, None if wait is None else now + wait)


def _date(written: Callable[[float], str], skew: float = 0.0) -> Form:
    """A moment one to two seconds ahead, by the server's clock, which is `skew` ahead of the client's."""

    def form(now: float) -> Asking:
        moment = math.ceil(now + skew + 1.0)
        headers = {"retry-after": written(moment), "date": _fixed(now + skew)}
        return Asking(headers, moment - skew)

    return form


def _fixed(moment: float) -> str:
    return formatdate(moment, usegmt=True)


def _rfc_850(moment: float) -> str:
    return time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(moment))


def _asctime(moment: float) -> str:
    return time.asctime(time.gmtime(moment))


FORMS: dict[str, Form] = {
    "seconds": _after(1.0, retry_after="1"),
    "a fraction": _after(0.4, retry_after="0.4"),
    "zero": _after(0.0, retry_after="0"),
    "milliseconds": _after(0.3, retry_after_ms="300"),
    "a fraction of them": _after(0.3505, retry_after_ms="350.5"),
    "both: milliseconds win": _after(0.6, retry_after_ms="600", retry_after="0"),
    "both: milliseconds unusable": _after(1.0, retry_after_ms="soon", retry_after="1"),
    "an IMF date": _date(_fixed),
    "an RFC 850 date": _date(_rfc_850),
    "an asctime date": _date(_asctime),
    "a date, server's clock behind": _date(_fixed, -SKEW_S),
    "a date, server's clock ahead": _date(_fixed, SKEW_S),
    "negative": _after(None, retry_after="-1"),
    "no number, no date": _after(None, retry_after="soon"),
}


@dataclass(frozen=True)
class EarlyFigures:
    """Of `attempts` that were asked to wait: those that came `early`, by form; and calls that failed."""

    run_async: bool
    calls: int
    attempts: int
    early: Counter[str]
    failed: int

    @property
    def kept(self) -> bool:
        return not self.early and self.failed == 0


@dataclass
class Strict:
    """A server without room that remembers when it may be asked again."""

    attempts: int = 0
    early: Counter[str] = field(default_factory=Counter)
    until: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def script(self, asked: Asked) -> Iterator[Step]:
        """Prompts are "number form"."""
        form = asked.prompt.partition(" ")[2]
        self._judge(asked, form)
        if asked.attempt >= REFUSALS:
            yield result("at last")
            return
        asking = FORMS[form](time.time())
        if asking.until is not None:
            with self.lock:
                self.until[asked.prompt] = asking.until
        yield failure(429 if asked.attempt else 503, **asking.headers)

    def _judge(self, asked: Asked, form: str) -> None:
        with self.lock:
            until = self.until.pop(asked.prompt, None)
            if until is not None:
                self.attempts += 1
                self.early[form] += asked.at < until - TOLERANCE_S


def measure(ask: Ask, tries: int, *, run_async: bool, skip_waits: bool = False) -> EarlyFigures:
    """All calls wait at the same time; with `skip_waits`, on a clock that `ask` and this process share, in turn."""
    strict = Strict()
    prompts = [f"{number} {form}" for number in range(tries) for form in FORMS]
    # A client for each form keeps them within the clients' retry budgets.
    counts = {"at_once": 1 if skip_waits else len(prompts), "clients": len(FORMS)}
    with serving(strict.script) as server:
        done = ask("calls", url=server.url, prompts=prompts, run_async=run_async, skip_waits=skip_waits, **counts)
    failed = sum(outcome["error"] is not None for outcome in done["outcomes"])
    return EarlyFigures(run_async, len(prompts), strict.attempts, +strict.early, failed)
