"""The database's tables, and connections to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION: Final = 1
FILE_NAME: Final = "usage.db"
_WAIT_SECONDS: Final = 5.0

# `started` and `day` are milliseconds since 1970, a day's being its first in UTC. No adapter is ''.
_TABLES = """
CREATE TABLE requests (
    request_id TEXT NOT NULL UNIQUE,
    started INTEGER NOT NULL,
    team TEXT NOT NULL,
    token TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    adapter TEXT NOT NULL,
    outcome TEXT NOT NULL,
    prompt INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    completion INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_by_start ON requests (started);
CREATE TABLE days (
    day INTEGER NOT NULL,
    team TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    adapter TEXT NOT NULL,
    requests INTEGER NOT NULL,
    prompt INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    PRIMARY KEY (day, team, endpoint, adapter)
) STRICT, WITHOUT ROWID;
CREATE VIEW usage AS
    SELECT started, team, endpoint, adapter, 1 AS requests, prompt, cached, completion FROM requests
    UNION ALL
    SELECT day, team, endpoint, adapter, requests, prompt, cached, completion FROM days;
"""


def for_writing(path: Path | None) -> sqlite3.Connection:
    """A connection that any one thread at a time may use; None is a database in memory.

    To be called by one process at a time. Raises `ConfigError` for a database of a newer version, `sqlite3.Error` and
    `OSError` for one that cannot be opened.
    """
    if path is not None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
    connection = _connect(":memory:" if path is None else str(path))
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("PRAGMA cache_size = -128")  # lines are seldom read again: a larger one grows for hours
        _create(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def for_reading(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; it can go on while others write. Raises as `for_writing` does."""
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the body, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(name: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)


def _create(connection: sqlite3.Connection, path: Path | None) -> None:
    if _check_version(connection, path) == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT")


def _check_version(connection: sqlite3.Connection, path: Path | None) -> int:
    version: int
    ((version,),) = connection.execute("PRAGMA user_version")
    if version > VERSION:
        raise ConfigError(f"{path} is of version {version}, this friendli knows {VERSION}: upgrade it.")
    return version
