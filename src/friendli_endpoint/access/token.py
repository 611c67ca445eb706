"""A token that was created: how its text looks, and what is kept of it."""

from __future__ import annotations

import re
import secrets
import string
from typing import TYPE_CHECKING

from msgspec import Struct

from friendli_endpoint.access.identity import Identity, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALPHABET = string.ascii_letters + string.digits
_PREFIX_LENGTH = 8
_SECRET_LENGTH = 43  # 256 bits
_TOKEN = re.compile(rb"(flp_[A-Za-z0-9]{8})_[A-Za-z0-9]{43}")


class Token(Struct, frozen=True, kw_only=True):
    """What may be shown of a token. Times are in Unix seconds, `last_used` is the start of a day (UTC).

    No `teams` means every team, no `endpoints` every endpoint; of several teams the first is what a request runs as
    that names none.
    """

    prefix: str
    name: str
    scopes: tuple[Scope, ...]
    teams: tuple[str, ...]
    endpoints: tuple[str, ...]
    created: int
    expires: int | None = None
    revoked: int | None = None
    last_used: int | None = None

    def good_at(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    @property
    def identity(self) -> Identity:
        """What it allows while it is good."""
        endpoints = frozenset(self.endpoints) if self.endpoints else None
        return Identity(name=self.prefix, scopes=frozenset(self.scopes), teams=self.teams or None, endpoints=endpoints)


def new_text() -> str:
    """A token nobody has: `flp_`, 8 characters that may be shown, `_`, and a secret of 256 bits."""
    return f"flp_{_random(_ALPHABET, _PREFIX_LENGTH)}_{_random(_ALPHABET, _SECRET_LENGTH)}"


def prefix_of(text: bytes) -> str | None:
    """What of a token's text may be shown; None when it does not look like one that was created here."""
    found = _TOKEN.fullmatch(text)
    return found[1].decode() if found else None


def _random(alphabet: Sequence[str], length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
