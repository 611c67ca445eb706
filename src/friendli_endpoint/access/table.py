"""The file of tokens: one row for each that was ever created."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from friendli_endpoint.access.token import Token
from friendli_endpoint.config.state import private_folder
from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

FILE: Final = "tokens.db"
_FORMAT: Final = 1
_WAIT_SECONDS: Final = 5.0
_LISTS = ("scopes", "teams", "endpoints")
_TABLE = """
CREATE TABLE IF NOT EXISTS tokens (
    prefix TEXT PRIMARY KEY, digest BLOB NOT NULL, name TEXT NOT NULL,
    scopes TEXT NOT NULL, teams TEXT NOT NULL, endpoints TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, last_used INTEGER
)
"""


class Row(NamedTuple):
    """A token and the SHA-256 of its text."""

    token: Token
    digest: bytes


class TokenTable:
    """Rows in a SQLite file. Every method raises `ConfigError` when the file cannot be used."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The file in `folder`; both are made, readable by this user alone, if they are not there."""
        path = private_folder(folder) / FILE
        with _explained(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            # Used by one thread at a time, but not always by the one that opened it.
            connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            table = cls(path, connection)
            try:
                table._prepare()
            except BaseException:
                connection.close()
                raise
        return table

    def _prepare(self) -> None:
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found > _FORMAT:
            raise ConfigError(f"{self.path} was written by a newer friendli; use that one.")
        if found < _FORMAT:
            self._connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
            self._connection.execute(_TABLE)
            self._connection.execute(f"PRAGMA user_version = {_FORMAT}")

    def version(self) -> int:
        """A number that changes whenever another connection has changed a row; asking takes microseconds."""
        with _explained(self.path):
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version

    def rows(self) -> list[Row]:
        """All of them, the oldest first."""
        with _explained(self.path):
            cursor = self._connection.execute("SELECT * FROM tokens ORDER BY created, rowid")
            names = [column[0] for column in cursor.description]
            return [_row(dict(zip(names, values, strict=True))) for values in cursor]

    def add(self, row: Row) -> bool:
        """Write a row; False when another one has its prefix."""
        values = msgspec.structs.asdict(row.token) | {"digest": row.digest}
        values |= {name: json.dumps(values[name]) for name in _LISTS}
        columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        with _explained(self.path):
            statement = f"INSERT OR IGNORE INTO tokens ({columns}) VALUES ({places})"  # noqa: S608 - names of fields
            return self._connection.execute(statement, values).rowcount == 1

    def set_revoked(self, prefix: str, now: int) -> None:
        """Note when a token was revoked, unless it has been before."""
        with _explained(self.path):
            self._connection.execute(
                "UPDATE tokens SET revoked = ? WHERE prefix = ? AND revoked IS NULL", (now, prefix)
            )

    def set_used(self, prefix: str, day: int) -> None:
        """Note when a token was used; without waiting, since a request does: a file that is busy is left as it is."""
        with _explained(self.path):
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._connection.execute("UPDATE tokens SET last_used = ? WHERE prefix = ?", (day, prefix))
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {_WAIT_SECONDS * 1000:.0f}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _row(values: dict[str, object]) -> Row:
    digest = values.pop("digest")
    values |= {name: json.loads(str(values[name])) for name in _LISTS}
    return Row(msgspec.convert(values, Token), bytes(digest) if isinstance(digest, bytes) else b"")


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"The tokens' file {path} cannot be used: {error.strerror or error}.") from error
    except (sqlite3.Error, ValueError) as error:
        raise ConfigError(f"The tokens' file {path} cannot be used: {error}.") from error
