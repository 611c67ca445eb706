"""What a server, or the ledger in a folder, says was used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from friendli.models.response import Lenient

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS = ("requests", "prompt", "cached", "completion", "total")
_BASE = "-"


class Total(Lenient):
    """The sums of one group; a key that was not grouped by is absent, an adapter that is null is the model itself."""

    team: str | None = None
    endpoint: str | None = None
    adapter: str | None = None
    day: str | None = None
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int

    def keys(self, by: Sequence[str]) -> list[str]:
        """The group, key by key."""
        named: dict[str, object] = self.model_dump(include=set(by))
        return [_BASE if named.get(key) is None else str(named[key]) for key in by]

    def sums(self) -> list[int]:
        """The numbers, as `NUMBERS` names them."""
        return [
            self.requests,
            self.prompt_tokens,
            self.cached_tokens,
            self.completion_tokens,
            self.total_tokens,
        ]


class Report(Lenient):
    """The groups in order, and the sum of all."""

    object: str = "list"
    start: str | None = Field(alias="from", default=None)
    end: str | None = Field(alias="to", default=None)
    by: list[str]
    data: list[Total]
    total: Total
