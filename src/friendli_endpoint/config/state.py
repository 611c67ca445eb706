"""The folder for what outlives the server: tokens that were created, what was used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from friendli_endpoint.errors import ConfigError

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def default_state() -> Path:
    """Where it is when nobody says: FRIENDLI_STATE, else `friendli` in XDG_DATA_HOME, else in ~/.local/share."""
    if named := os.environ.get("FRIENDLI_STATE"):
        return Path(named).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local/share") / "friendli"


def private_folder(folder: Path) -> Path:
    """`folder`, made for this user alone if it is not there. Raises `ConfigError`, also when others may write in it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        raise ConfigError(f"The state folder {folder} cannot be used: {error.strerror or error}.") from error
    if mode & _OTHERS_MAY_WRITE:
        raise ConfigError(f"Others may write in the state folder {folder}; take that away: chmod go-w {folder}")
    return folder
