"""Who was refused and who changed what: lines of JSON for the logger "friendli.audit".

A line has no prompt, no token but its prefix, and nothing of a request that could begin another line: control
characters and all that is not ASCII are written as escapes, and long values are cut.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Final

from friendli_endpoint.access import prefix_of
from friendli_endpoint.server.caller import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

LOGGER: Final = "friendli.audit"
_LONGEST: Final = 200
_LINES_A_SECOND: Final = 20

_log = logging.getLogger(LOGGER)


class Flood:
    """Lets `most` lines a second through, so that whoever is refused endlessly cannot fill a disk."""

    def __init__(self, most: int = _LINES_A_SECOND, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._second = -1
        self._lines = 0
        self._left_out = 0

    def admit(self) -> int | None:
        """How many were left out since the last line that was let through; None when this one is, too."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines == self._most:
            self._left_out += 1
            return None
        self._lines += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


# Strangers cannot hide what people with tokens try.
_strangers, _callers = Flood(), Flood()


def refused_token(scope: Scope, reason: str, token: bytes = b"") -> None:
    """Note that a request came without a good token."""
    _refused(_strangers, scope, {"refused": "token", "reason": reason, "token": prefix_of(token)})


def refused_access(scope: Scope, what: str, **facts: str) -> None:
    """Note that the caller's token is not for this scope, endpoint or team."""
    _refused(_callers, scope, {"refused": what, **_who(scope), **facts})


def refused_page(scope: Scope, **facts: str) -> None:
    """Note that a web page tried a server that needs no token."""
    _refused(_strangers, scope, {"refused": "page", **facts})


def change(scope: Scope, action: str, **facts: str) -> None:
    """Note a change of the server: `action` names it, `facts` say of what and how it ended."""
    _log.info("%s", _line(scope, {"change": action, **_who(scope), **facts}))


def _refused(flood: Flood, scope: Scope, facts: dict[str, str | None]) -> None:
    left_out = flood.admit()
    if left_out is not None:
        more = {"left_out": str(left_out)} if left_out else {}
        _log.warning("%s", _line(scope, {**facts, **more}))


def _who(scope: Scope) -> dict[str, str]:
    caller = caller_of(scope)
    return {"token": caller.identity.name, "team": caller.team}


def _line(scope: Scope, facts: dict[str, str | None]) -> str:
    client = scope.get("client")
    where = {"method": scope["method"], "path": scope["path"], "client": client[0] if client else None}
    line = {**facts, **where, "request_id": scope.get("request_id")}
    return json.dumps({name: value[:_LONGEST] for name, value in line.items() if value is not None})
