"""What teams may use in a minute: token buckets that hold one minute's worth and are refilled all the time."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import EngineFullError

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.config import TeamSettings
    from friendli_endpoint.errors import Lack

_MINUTE: Final = 60.0
_ROUNDING: Final = 1e-6
_MOST_TEAMS: Final = 4096


class Bucket:
    """A token bucket, kept as the moment at which it will be full. More may be taken than is there: a debt."""

    __slots__ = ("_full_at", "_seconds_each")

    def __init__(self, per_minute: int) -> None:
        self._seconds_each = _MINUTE / per_minute
        self._full_at = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until there is one in it, 0.0 when there is."""
        wait = self._full_at - (_MINUTE - self._seconds_each) - now
        return wait if wait > _ROUNDING else 0.0

    def take(self, amount: int, now: float) -> None:
        """Take so much out, whatever there is."""
        self._full_at = max(self._full_at, now) + amount * self._seconds_each

    def full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        return self._full_at <= now


class Quotas:
    """The buckets of every team that has limits, by name.

    A team whose buckets are full needs none. There are at most 4096, which a server that checks teams never has: where
    any name is taken, forgetting what the oldest has used gives away nothing that a new name would not get.
    """

    def __init__(self, teams: Callable[[str], TeamSettings], clock: Callable[[], float]) -> None:
        self._settings = teams
        self._clock = clock
        self._teams: OrderedDict[str, _Quota] = OrderedDict()

    def check(self, team: str) -> None:
        """Raises `EngineFullError` when the team has to wait; its Retry-After is when it has not to, to the moment."""
        if quota := self._teams.get(team):
            quota.check(self._clock())

    def used(self, team: str, *, requests: int = 0, tokens: int = 0) -> None:
        """The team has used so much."""
        now = self._clock()
        quota = self._teams.get(team) or _Quota(self._settings(team))
        quota.used(requests, tokens, now)
        if not quota.full(now):
            self._teams[team] = quota
            self._teams.move_to_end(team)
            self._forget(now)

    def _forget(self, now: float) -> None:
        while len(self._teams) > _MOST_TEAMS or next(iter(self._teams.values())).full(now):
            self._teams.popitem(last=False)


class _Quota:
    """One team's buckets; None where it has no limit."""

    __slots__ = ("_requests", "_tokens")

    def __init__(self, limits: TeamSettings) -> None:
        self._requests = _bucket(limits.requests_per_minute)
        self._tokens = _bucket(limits.tokens_per_minute)

    def check(self, now: float) -> None:
        _check(self._requests, "requests", "team rate", now)
        _check(self._tokens, "tokens", "team tokens", now)

    def used(self, requests: int, tokens: int, now: float) -> None:
        if self._requests is not None and requests:
            self._requests.take(requests, now)
        if self._tokens is not None and tokens:
            self._tokens.take(tokens, now)

    def full(self, now: float) -> bool:
        return all(bucket is None or bucket.full(now) for bucket in (self._requests, self._tokens))


def _bucket(per_minute: int | None) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute)


def _check(bucket: Bucket | None, what: str, reason: Lack, now: float) -> None:
    if bucket is not None and (wait := bucket.wait(now)):
        raise EngineFullError(f"The team has used its {what} of this minute.", retry_after=wait, reason=reason)
