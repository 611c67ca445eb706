"""Which token a route takes: one table, and what is not in it is an admin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from starlette.routing import Match

from friendli_endpoint.access import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import Scope as AsgiScope

Need: TypeAlias = Scope | Literal["token", "nothing"]
"""A scope; any token that is good; or nothing, not even a token."""


class Door(NamedTuple):
    """What a route's path, as the router has it, needs for a method; a door for GET is one for HEAD, too."""

    path: str
    method: str
    need: Need


class Way(NamedTuple):
    """Where a request leads: what that needs, and the endpoint that its path names."""

    need: Need
    endpoint_id: str | None = None


class Doors:
    """Finds the way that the router is going to take, by what the router goes by: method and `scope["path"]`."""

    def __init__(self, routes: Sequence[BaseRoute], doors: Iterable[Door]) -> None:
        self._routes = routes
        self._needs = {(door.path, door.method): door.need for door in doors}

    def way(self, scope: AsgiScope) -> Way:
        """What is no route's path or method leads nowhere: whoever has a token is answered 404 or 405."""
        elsewhere = Way("token")
        for route in self._routes:
            match, found = route.matches(scope)
            endpoint_id = found.get("path_params", {}).get("endpoint_id")
            if match is Match.FULL:
                return Way(self._need(route, scope), endpoint_id)
            if match is Match.PARTIAL and elsewhere.endpoint_id is None:
                elsewhere = Way("token", endpoint_id)
        return elsewhere

    def _need(self, route: BaseRoute, scope: AsgiScope) -> Need:
        if scope["path"].endswith("\n"):  # the router's patterns let one line break at the end pass
            return "admin"
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return self._needs.get((getattr(route, "path", ""), method), "admin")
