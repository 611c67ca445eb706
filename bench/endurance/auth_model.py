"""Who may, said once more: a model of the rules in docs/security.md that shares no code with the server.

`CLOSED` stands for no answer at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

CLOSED = 0
ENDPOINT = "demo"
"""The one that is served; `BODY` asks for it."""


@dataclass(frozen=True)
class Door:
    """What a method needs, and what the route answers to the cases' body once it is let in."""

    need: str
    answer: int


@dataclass(frozen=True)
class Grant:
    """What a token is good for; None is everything."""

    scopes: frozenset[str]
    teams: tuple[str, ...] | None = ("default",)
    endpoint: str | None = None

    def good_for(self, need: str) -> bool:
        return need == "token" or not self.scopes.isdisjoint({need, "admin"})


@dataclass(frozen=True)
class Credential:
    """Lines of a head that say who asks, what they are good for, and the status where they are no good HTTP."""

    name: str
    lines: tuple[bytes, ...] = ()
    grant: Grant | None = None
    status: int | None = None


@dataclass(frozen=True)
class Team:
    """Lines that name the team: which one, or the status that they deserve."""

    name: str = "none"
    lines: tuple[bytes, ...] = ()
    asked: str | None = None
    status: int | None = None


ROUTES = {
    "/health": {"GET": Door("nothing", 200)},
    "/ready": {"GET": Door("nothing", 200)},
    "/openapi.json": {"GET": Door("token", 200)},
    "/metrics": {"GET": Door("metrics", 200)},
    "/dedicated/v1/completions": {"POST": Door("complete", 200)},
    "/dedicated/v1/usage": {"GET": Door("token", 200)},
    "/dedicated/v1/endpoints": {"GET": Door("token", 200)},
    "/dedicated/v1/endpoints/{endpoint_id}": {"GET": Door("token", 200)},
    "/dedicated/v1/endpoints/{endpoint_id}/sleep": {"PUT": Door("admin", 200)},
    "/dedicated/v1/endpoints/{endpoint_id}/wake": {"PUT": Door("admin", 200)},
    "/dedicated/v1/endpoints/{endpoint_id}/restart": {"PUT": Door("admin", 409)},
    "/dedicated/v1/endpoints/{endpoint_id}/adapters": {"GET": Door("admin", 200)},
    "/dedicated/v1/endpoints/{endpoint_id}/adapters/{route}": {
        "GET": Door("admin", 404),
        "PUT": Door("admin", 422),
        "DELETE": Door("admin", 404),
    },
}
"""Every route, by the pattern that the application has it under."""

COMPLETIONS = "/dedicated/v1/completions"
USAGE = "/dedicated/v1/usage"
_TARGET = re.compile(rb"(?:[A-Za-z]+://[^/?#]+)?(/[^?#]*)(?:[?#].*)?|(\*)")
_VISIBLE = re.compile(rb"[!-~]+")


def seen(target: bytes) -> str | None:
    """The path that the server goes by; None where the target is no HTTP."""
    found = _TARGET.fullmatch(target)
    if not found or not _VISIBLE.fullmatch(target):
        return None
    return unquote((found[1] or found[2]).decode())


def pattern_of(path: str) -> str | None:
    """The route that a path leads to: segment by segment, a placeholder being any segment that is not empty."""
    given = path.removesuffix("\n").split("/")
    for pattern in ROUTES:
        wanted = pattern.split("/")
        if len(wanted) == len(given) and all(map(_fits, wanted, given)):
            return pattern
    return None


def _fits(wanted: str, given: str) -> bool:
    return bool(given) if wanted.startswith("{") else wanted == given


def expected(method: str, target: bytes, who: Credential, team: Team) -> int:
    """The status that a request deserves."""
    if who.status is not None:
        return who.status
    path = seen(target)
    if path is None:
        return 400
    pattern = pattern_of(path)
    door = ROUTES[pattern].get("GET" if method == "HEAD" else method) if pattern else None
    need = "token" if door is None else "admin" if path.endswith("\n") else door.need
    if need == "nothing" and door is not None:
        return door.answer
    endpoint = path.split("/")[4] if pattern and "{" in pattern else None
    refusal = _refusal(need, endpoint, who.grant, team)
    if refusal is not None:
        return refusal
    if door is None:
        return 405 if pattern else 404
    if endpoint not in (None, ENDPOINT):
        return 404
    if pattern == USAGE and b"?path" in target:  # a question that it does not know
        return 422
    return door.answer if pattern != COMPLETIONS or _is_for(who.grant, ENDPOINT) else 403


def _refusal(need: str, endpoint: str | None, grant: Grant | None, team: Team) -> int | None:
    if grant is None:
        return 401
    if not grant.good_for(need) or not _is_for(grant, endpoint):
        return 403
    if team.status is not None:
        return team.status
    return 403 if team.asked and grant.teams is not None and team.asked not in grant.teams else None


def _is_for(grant: Grant | None, endpoint: str | None) -> bool:
    return grant is not None and (endpoint is None or grant.endpoint in (None, endpoint))
