"""Whose a shown token is: one of the settings', or one that was created."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from friendli_endpoint.access import Identity
from friendli_endpoint.config import DEFAULT_TEAM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.access import TokenStore
    from friendli_endpoint.config import ServerSettings, TokenHash

USER: Final = Identity(name="server.tokens", scopes=frozenset({"complete"}), teams=(DEFAULT_TEAM,))
ADMIN: Final = Identity(name="server.admin_tokens", scopes=frozenset({"admin"}))
ANYBODY: Final = Identity(name="open", scopes=frozenset({"complete", "admin", "metrics"}))
"""Who asks a server that needs no token."""


class Credentials:
    """Every token that is good now."""

    def __init__(self, settings: ServerSettings, store: TokenStore | None) -> None:
        self._tokens = settings.tokens
        self._admin_tokens = settings.admin_tokens
        self._set = settings.guarded
        self._store = store

    @property
    def needed(self) -> bool:
        """Whether there is a token, or ever was one; without any, whoever reaches the server may do everything."""
        return self._set or (self._store is not None and self._store.guarded)

    def identify(self, text: bytes) -> Identity | None:
        """What a token allows; None when it is not good."""
        digest = hashlib.sha256(text).digest()
        user, admin = _knows(self._tokens, digest), _knows(self._admin_tokens, digest)
        if user or admin:
            return ADMIN if admin else USER
        return self._store.identify(text) if self._store else None


def _knows(tokens: Sequence[TokenHash], digest: bytes) -> bool:
    # Every token is looked at, so that the time does not tell which one it was.
    return sum(known.matches(digest) for known in tokens) > 0
