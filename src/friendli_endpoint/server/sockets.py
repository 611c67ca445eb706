"""How many connections a process may have."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

_ENOUGH: Final = 65_536


def allow_many_sockets() -> None:
    """Raise this process's limit of open files as far as it may; the usual 1,024 are fewer than a crowd of clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # what cannot be had is done without
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
