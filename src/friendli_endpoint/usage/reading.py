"""A ledger's database read by whoever may read the file, beside a server that runs or without one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from friendli_endpoint.errors import ConfigError
from friendli_endpoint.usage.schema import FILE_NAME, for_reading
from friendli_endpoint.usage.totals import totals

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.usage.records import Query, UsageTotal


def stored_totals(folder: Path, query: Query) -> list[UsageTotal]:
    """The sums in the ledger of a state folder.

    Raises `ConfigError` when there is none or it cannot be read, `RequestError` for too many groups.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise ConfigError(f"There is no usage ledger in {folder}: name the folder that server.state names.")
    try:
        with closing(for_reading(path)) as connection:
            return totals(connection, query)
    except sqlite3.Error as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
