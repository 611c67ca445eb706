"""What the ledger is told, and what it tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, get_args

from msgspec import UNSET, Struct, UnsetType, field

if TYPE_CHECKING:
    from collections.abc import Sequence

Outcome: TypeAlias = Literal["finished", "left", "failed", "timeout", "interrupted"]
"""How a request ended: its client left, it failed, its time was over, or its server died."""
Key: TypeAlias = Literal["team", "endpoint", "adapter", "day"]
"""What sums can be grouped by; days are UTC's."""

KEYS: Final[tuple[Key, ...]] = get_args(Key)
DAY_MS: Final = 86_400_000


class Who(Struct, frozen=True, kw_only=True):
    """Whose request it is. `token` is the token's name, never the token; `adapter` None is the model itself."""

    request_id: str
    team: str
    token: str
    endpoint: str
    adapter: str | None


class Counts(NamedTuple):
    """Tokens of one request so far. Those of the prompt that were `cached` are part of `prompt`."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


class Line(Struct, frozen=True, kw_only=True):
    """One request that has ended; `started` is in milliseconds since 1970."""

    who: Who
    started: int
    outcome: Outcome
    counts: Counts


class Query(Struct, frozen=True, kw_only=True):
    """Which requests to sum, by when they started, and how to group them. None leaves nothing out.

    `start` is included, `end` is not; both are aware of their zone. `endpoints` are those that may be looked at.
    """

    start: datetime | None = None
    end: datetime | None = None
    by: tuple[Key, ...] = ()
    team: str | None = None
    endpoint: str | None = None
    endpoints: frozenset[str] | None = None


class UsageTotal(Struct, frozen=True, kw_only=True):
    """The sums of one group; a key that was not grouped by is absent. An `adapter` that is null is the model itself."""

    team: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    adapter: str | UnsetType | None = UNSET
    day: str | UnsetType = UNSET
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class UsageReport(Struct, frozen=True, kw_only=True):
    """The answer to a query, as the interface shows it: groups in order, and the sum of all."""

    object: Literal["list"] = "list"
    start: str | None = field(name="from")
    end: str | None = field(name="to")
    by: tuple[Key, ...]
    data: tuple[UsageTotal, ...]
    total: UsageTotal


def report(query: Query, totals: Sequence[UsageTotal]) -> UsageReport:
    """What `totals`, the answer to `query`, is shown as."""
    whole = UsageTotal(
        requests=sum(each.requests for each in totals),
        prompt_tokens=sum(each.prompt_tokens for each in totals),
        cached_tokens=sum(each.cached_tokens for each in totals),
        completion_tokens=sum(each.completion_tokens for each in totals),
        total_tokens=sum(each.total_tokens for each in totals),
    )
    return UsageReport(start=_shown(query.start), end=_shown(query.end), by=query.by, data=tuple(totals), total=whole)


def milliseconds(moment: datetime) -> int:
    """Since 1970, rounded down."""
    return int((moment - _EPOCH).total_seconds() * 1000 // 1)


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
