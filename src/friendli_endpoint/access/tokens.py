"""The tokens that were created, as the command line changes them and a running server asks for them."""

from __future__ import annotations

import hashlib
import hmac
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, Self

import msgspec
from msgspec import Meta

from friendli_endpoint.access.identity import Scope
from friendli_endpoint.access.table import Row, TokenTable
from friendli_endpoint.access.token import Token, new_text, prefix_of
from friendli_endpoint.config.names import DEFAULT_TEAM, NAME_RULE, is_name
from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from friendli_endpoint.access.identity import Identity

_LONGEST_NAME: Final = 100
_DAY: Final = 24 * 3600


class TokenStore:
    """Tokens by prefix. What another process changes in the file holds from the next question on."""

    def __init__(self, table: TokenTable, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock
        self._rows: dict[str, Row] = {}
        self._version: int | None = None  # of the file, when `_rows` was read; None: read it again

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The tokens kept in `folder`, which is made if it is not there. Raises `ConfigError`."""
        return cls(TokenTable.open(folder))

    @property
    def guarded(self) -> bool:
        """Whether a token was ever created: revoking the last one must not open the server."""
        return bool(self._current())

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self._table.path.parent

    def all(self) -> list[Token]:
        """Every token that was ever created, the oldest first."""
        return [row.token for row in self._current().values()]

    def create(
        self,
        *,
        name: str = "",
        scopes: Collection[str],
        teams: Collection[str] = (),
        endpoints: Collection[str] = (),
        expires: int | None = None,
    ) -> tuple[str, Token]:
        """A new token: its text, which nobody can be told again, and what is kept. Raises `ConfigError`.

        Without `teams` an admin's is good for every team, another for the team "default". `expires` is in Unix seconds.
        """
        while True:
            text = new_text()
            token = Token(
                prefix=prefix_of(text.encode()) or "",
                name=name,
                scopes=_scopes(scopes),
                teams=tuple(dict.fromkeys(teams)) or (() if "admin" in scopes else (DEFAULT_TEAM,)),
                endpoints=tuple(sorted(set(endpoints))),
                created=int(self._clock()),
                expires=expires,
            )
            _check(token)
            if self._table.add(Row(token, _digest(text.encode()))):
                self._version = None
                return text, token

    def revoke(self, token: str) -> Token:
        """Make a token, given by its prefix or its text, useless for ever. Raises `ConfigError` if it is unknown."""
        prefix = prefix_of(token.encode()) or token
        if prefix not in self._current():
            raise ConfigError(f"There is no token {prefix[:20]!r}; friendli token list shows those that there are.")
        self._table.set_revoked(prefix, int(self._clock()))
        self._version = None
        return self._current()[prefix].token

    def identify(self, text: bytes) -> Identity | None:
        """What the token with this text allows now; None when it is unknown, revoked or expired."""
        row = self._current().get(prefix_of(text) or "")
        now = self._clock()
        if row is None or not hmac.compare_digest(row.digest, _digest(text)) or not row.token.good_at(now):
            return None
        self._note_use(row, int(now) // _DAY * _DAY)
        return row.token.identity

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()

    def _current(self) -> dict[str, Row]:
        version = self._table.version()
        if version != self._version:
            self._rows = {row.token.prefix: row for row in self._table.rows()}
            self._version = version
        return self._rows

    def _note_use(self, row: Row, day: int) -> None:
        if row.token.last_used == day:
            return
        used = Row(msgspec.structs.replace(row.token, last_used=day), row.digest)
        self._rows[row.token.prefix] = used
        with suppress(ConfigError):  # a disk that is full or busy is no reason to refuse
            self._table.set_used(row.token.prefix, day)


def _digest(text: bytes) -> bytes:
    # A fast hash is right here: nobody guesses 256 random bits, however many guesses a second they have.
    return hashlib.sha256(text).digest()


def _scopes(names: Collection[str]) -> tuple[Scope, ...]:
    kind = Annotated[tuple[Scope, ...], Meta(min_length=1)]
    try:
        scopes: tuple[Scope, ...] = msgspec.convert(tuple(sorted({*names})), kind)
    except msgspec.ValidationError:
        raise ConfigError("A token's scopes are one or more of complete, admin and metrics.") from None
    return scopes


def _check(token: Token) -> None:
    if len(token.name) > _LONGEST_NAME or not token.name.isprintable():
        raise ConfigError(f"A token's name should be printable and have at most {_LONGEST_NAME} characters.")
    for kind, names in (("a team", token.teams), ("an endpoint", token.endpoints)):
        for name in names:
            if not is_name(name):
                raise ConfigError(f"{name!r} cannot be {kind}: use {NAME_RULE}.")
