"""What the ledger's tests share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from friendli_endpoint.usage import Ledger, Query, Who

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from friendli_endpoint.usage import Outcome, UsageTotal

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z
DAY = 86_400.0


class Clock:
    """Time as a test sets it, in seconds since 1970."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def who(number: int = 0, **fields: str | None) -> Who:
    named = {"team": "acme", "token": "flp_1234", "endpoint": "demo", "adapter": None}
    return Who(request_id=f"{number:032x}", **(named | fields))


def spend(ledger: Ledger, whose: Who, counts: tuple[int, int, int] = (10, 4, 5), outcome: Outcome = "finished") -> None:
    """A request from its beginning to its end."""

    async def main() -> None:
        entry = ledger.begin(whose)
        entry.count(prompt=counts[0], cached=counts[1], completion=counts[2])
        await entry.close(outcome)

    asyncio.run(main())


def sums(total: UsageTotal) -> tuple[int, int, int, int]:
    return total.requests, total.prompt_tokens, total.cached_tokens, total.completion_tokens


def all_of(ledger: Ledger) -> tuple[int, int, int, int]:
    """Requests, and tokens of the three kinds, in the whole ledger."""
    return sums_of(ledger.totals(Query()))


def sums_of(totals: Sequence[UsageTotal]) -> tuple[int, int, int, int]:
    return sums(totals[0]) if totals else (0, 0, 0, 0)


def reopened(folder: Path) -> tuple[int, int, int, int]:
    """What a ledger that is opened afterwards says in all."""
    ledger = Ledger.open(folder)
    try:
        return all_of(ledger)
    finally:
        ledger.close()
